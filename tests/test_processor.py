"""The processor's features are those in /proc/cpuinfo, and none where that is missing."""

from __future__ import annotations

import platform

import pytest

from handviz import processor

SMALL = "processor : 0\nmodel name : Small CPU @ 2 GHz\nflags : fpu avx2 fma\n"
LARGE = "processor : 0\nmodel name\t: Large CPU\nflags\t\t: fpu avx2 avx512_bf16 avx512_vnni\n"
INTEL = "vendor_id\t: GenuineIntel\nmodel name\t: Xeon\nflags\t\t: fpu avx2 avx512_bf16 avx512_vnni\n"
ARM = "processor : 0\nFeatures : fp asimd bf16 i8mm\n"


@pytest.mark.parametrize(
    ("information", "expected"),
    [
        (SMALL, ("Small CPU @ 2 GHz", False, False)),
        (LARGE, ("Large CPU", True, True)),
        (INTEL, ("Xeon", True, False)),
        (INTEL.replace("avx512_bf16", "avx512_bf16 amx_bf16"), ("Xeon", True, True)),
        (ARM, ("", False, True)),
        ("", ("", False, False)),
    ],
    ids=["small", "large", "intel without amx", "intel with amx", "arm", "none"],
)
def test_what_a_processor_can_do(information, expected, monkeypatch):
    monkeypatch.setattr(processor, "_information", lambda: information)
    monkeypatch.setattr(platform, "processor", lambda: "")
    monkeypatch.setattr(platform, "machine", lambda: "")
    assert (processor.processor_name(), processor.multiplies_bytes(), processor.multiplies_bfloat16()) == expected
