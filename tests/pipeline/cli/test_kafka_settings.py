"""From the configuration to the settings of the Kafka adapter."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.cli.config import command
from pipeline.cli.kafka_settings import settings_from
from pipeline.config import load_config
from pipeline.config.kafka import KafkaSection
from pipeline.errors import ConfigError

SECRET = "hunter2 &= staple"  # noqa: S105  of nothing


def _kafka(tmp_path: Path, text: str, **environ: str) -> KafkaSection:
    file = tmp_path / "driftline.toml"
    file.write_text(f"[kafka]\n{text}")
    return load_config(file, environ=environ).config.kafka


@pytest.mark.parametrize("name", ["password", "key_password"])
@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_a_secret_comes_from_its_file(tmp_path: Path, name: str, ending: str) -> None:
    """The end of the line is none of it, blanks are."""
    (tmp_path / "secret").write_bytes(f" {SECRET} {ending}".encode())
    settings = settings_from(_kafka(tmp_path, f'{name}_file = "{tmp_path / "secret"}"\n'))
    assert getattr(settings, name) == f" {SECRET} "


@pytest.mark.parametrize("name", ["password", "key_password"])
def test_a_secret_comes_from_the_environment(tmp_path: Path, name: str) -> None:
    """As does the path of its file."""
    settings = settings_from(_kafka(tmp_path, "", **{f"DRIFTLINE_KAFKA__{name.upper()}": SECRET}))
    assert getattr(settings, name) == SECRET
    (tmp_path / "secret").write_text(SECRET)
    environ = {f"DRIFTLINE_KAFKA__{name.upper()}_FILE": str(tmp_path / "secret")}
    assert getattr(settings_from(_kafka(tmp_path, "", **environ)), name) == SECRET


@pytest.mark.parametrize("name", ["password", "key_password"])
def test_a_secret_that_is_not_to_be_had_is_told(tmp_path: Path, name: str) -> None:
    """Given twice, or with a file that is missing, empty or no text: told with the key, and without the secret."""
    path = tmp_path / "secret"
    key = f'{name}_file = "{path}"\n'

    def refused(text: str) -> str:
        with pytest.raises(ConfigError) as raised:
            settings_from(_kafka(tmp_path, text))
        return str(raised.value)

    assert refused(key) == f"[kafka] {name}_file: found no readable file {path}; expected one with the secret"
    path.write_text("\n")
    assert refused(key) == f"[kafka] {name}_file: found {path} empty; expected the secret in it"
    path.write_bytes(b"\xff\xfe")
    assert "found no readable file" in refused(key)
    path.write_text(SECRET)
    told = refused(key + f'{name} = "{SECRET}"\n')
    assert told == f"[kafka] {name}: found it as well as {name}_file; expected one of them"


def test_the_configuration_shows_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`driftline config` tells that there is one, and for a file where it is, but not what it is."""
    path = tmp_path / "secret"
    path.write_text(SECRET)
    file = tmp_path / "driftline.toml"
    file.write_text(f'[kafka]\nkey_password_file = "{path}"\n')
    monkeypatch.setenv("DRIFTLINE_KAFKA__PASSWORD", SECRET)
    shown = CliRunner().invoke(command, ["--config", str(file)])
    assert shown.exit_code == 0
    assert str(path) in shown.output
    assert "password = " in shown.output
    assert SECRET not in shown.output


def test_every_setting_comes_through(tmp_path: Path) -> None:
    """Whatever the section says of how Kafka is reached is in the settings; brokers may be named elsewhere."""
    kafka = _kafka(
        tmp_path,
        'bootstrap = ["a:1", "b:2"]\nclient = "c"\nsecurity = "sasl_ssl"\nca_file = "ca"\ncert_file = "cert"\n'
        'key_file = "key"\ncheck_hostname = false\nsasl_mechanism = "GSSAPI"\nusername = "u"\nkerberos_service = "s"\n'
        'kerberos_domain = "d"\ntoken_file = "t"\n',
    )
    settings = settings_from(kafka)
    assert settings.bootstrap == ("a:1", "b:2")
    told = (
        settings.client, settings.security, settings.ca_file, settings.cert_file, settings.key_file,
        settings.check_hostname, settings.sasl_mechanism, settings.username, settings.kerberos_service,
        settings.kerberos_domain, settings.token_file,
    )  # fmt: skip
    assert told == ("c", "sasl_ssl", "ca", "cert", "key", False, "GSSAPI", "u", "s", "d", "t")
    assert settings_from(kafka, ("c:3",)).bootstrap == ("c:3",)
