import pipeline.adapters.outputs as package


def test_public_names() -> None:
    """What the package offers."""
    assert package.__all__ == ["ANOMALIES", "VERDICTS", "Existing", "ReplayOutputs"]
    assert all(hasattr(package, name) for name in package.__all__)
