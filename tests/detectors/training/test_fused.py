import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(find_spec("triton") is None, reason="found no Triton; expected it with torch for CUDA on Linux"),
]
SHARED_BYTES = {80: 163 * 1024, 90: 227 * 1024, 100: 227 * 1024}
"""That a program may have, by compute capability: of the A100, of the H100 and H200, of the B200."""


def test_kernels_compute_what_torch_does() -> None:
    """Computed by the host, the kernels give torch's states and gradients: the tests of `interpreted` pass."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", Path(__file__).with_name("interpreted.py")],
        capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3],
        env=os.environ | {"TRITON_INTERPRET": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "4 passed" in done.stdout


@pytest.mark.slow
def test_kernels_compile_for_devices() -> None:
    """Without a device at hand the kernels are compiled for some, where their blocks fit into shared memory."""
    done = subprocess.run(
        [sys.executable, "-m", __name__], capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3]
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 6 * len(SHARED_BYTES)


def main() -> None:
    """Compile all kernels of the largest state, and print the shared memory that each takes on a device."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from detectors.training import fused, fused_kernels

    forward, backward = fused_kernels.forward_kernel, fused_kernels.backward_kernel
    in_float32 = ("c_first", "c_last", "cells", "of_c_first", "of_c_last")
    for device, room in SHARED_BYTES.items():
        for kind, precision, stages in (("*fp32", "tf32x3", 2), ("*bf16", "tf32", 3)):
            for kernel, own in ((forward, {"SAVE": True}), (forward, {"SAVE": False}), (backward, {})):
                constants = own | {"H": max(fused.SIZES), "ROWS": fused.ROWS, "PRECISION": precision}
                kinds = {"series": "i32", "steps": "i32"}
                kinds |= dict.fromkeys(in_float32, "*fp32") | dict.fromkeys(constants, "constexpr")
                names = kernel.arg_names
                signature = {name: kinds.get(name, kind) for name in names}
                made = triton.compile(
                    ASTSource(
                        fn=kernel,
                        signature=signature,
                        constexprs={(names.index(name),): value for name, value in constants.items()},
                        attrs={
                            (n,): [["tt.divisibility", 16]] for n, name in enumerate(names) if "*" in signature[name]
                        },
                    ),
                    target=GPUTarget("cuda", device, 32),
                    options={"num_warps": 4, "num_stages": stages if kernel is backward else 1},
                )
                assert made.asm["cubin"]
                assert made.metadata.shared <= room, (kernel, device, made.metadata.shared)
                print(device, made.metadata.shared)


if __name__ == "__main__":
    main()
