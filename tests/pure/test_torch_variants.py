# SPDX-License-Identifier: GPL-3.0-or-later
"""Which build of PyTorch is offered first, by what the drivers' own programs say."""

import os
import sys

import pytest

from animerun_addon.model_bridge import torch_variants
from animerun_addon.model_bridge.torch_variants import Variant, detected_steps, for_nvidia
from animerun_addon.pipeline.job import Job

OVERVIEW = """
+-----------------------------------------------------------------------------------------+
| NVIDIA-SMI 570.86.15              Driver Version: 570.86.15      CUDA Version: {:<9}|
|-----------------------------------------+------------------------+----------------------+
"""
ROCMINFO = """
==========
HSA Agents
==========
*******
Agent 1
*******
  Name:                    AMD Ryzen 9 7950X
  Marketing Name:          AMD Ryzen 9 7950X
  Device Type:             CPU
*******
Agent 2
*******
  Name:                    gfx1100
  Marketing Name:          Radeon RX 7900 XTX
  Device Type:             GPU
"""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine whose only programs are those given, each as the lines of a script."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin{os.pathsep}/usr/bin")

    def has(**programs):
        for name, lines in programs.items():
            path = tmp_path / name.replace("_", "-")
            path.write_text(f"#!/bin/sh\n{lines}\n")
            path.chmod(0o755)

    has(nvidia_smi="exit 9", rocminfo="exit 9")
    return has


def detected():
    return Job("Look", detected_steps()).run()


@pytest.mark.parametrize(
    ("cuda", "cards", "variant"),
    [
        ("13.0", "NVIDIA GeForce RTX 5090, 12.0", Variant.CUDA_13_0),
        ("12.9", "NVIDIA GeForce RTX 3090, 8.6", Variant.CUDA_12_8),
        ("12.4", "NVIDIA GeForce RTX 3090, 8.6", Variant.CUDA_12_6),  # any CUDA 12 runs on a driver of CUDA 12
        ("12.4", "NVIDIA GeForce RTX 5090, 12.0", Variant.CUDA_12_8),
        ("13.0", "NVIDIA GeForce GTX 1080, 6.1", Variant.CUDA_12_6),
        ("13.0", "Quadro RTX 6000, 7.5\nTesla V100, 7.0", Variant.CUDA_12_6),
        ("12.0", "Field compute_cap is not a valid field to query.", Variant.CUDA_12_6),
        ("11.4", "Tesla K80, 3.7", Variant.CPU),
    ],
)
def test_an_nvidia_card_gets_the_newest_build_that_its_driver_and_it_can_use(cuda, cards, variant):
    assert for_nvidia(OVERVIEW.format(cuda), cards).variant is variant


def test_an_old_driver_is_said_to_be_one():
    assert "knows CUDA 11.4: install a newer driver" in for_nvidia(OVERVIEW.format("11.4"), "").why


@pytest.mark.skipif(sys.platform != "linux", reason="plays programs by scripts")
class TestMachines:
    def test_nvidia(self, machine):
        machine(
            nvidia_smi=f'if [ $# = 0 ]; then echo "{OVERVIEW.format("12.8").strip()}"; else echo "NVIDIA L4, 8.9"; fi'
        )
        assert detected() == (Variant.CUDA_12_8, "NVIDIA L4")

    def test_amd(self, machine):
        machine(rocminfo=f"cat <<END{ROCMINFO}END")
        assert detected() == (Variant.ROCM, "Radeon RX 7900 XTX")

    def test_an_amd_processor_alone_is_no_card(self, machine):
        machine(rocminfo=f"cat <<END{ROCMINFO.partition('*******' + chr(10) + 'Agent 2')[0]}END")
        assert detected().variant is Variant.CPU

    def test_none(self, machine):
        assert detected() == (Variant.CPU, "no graphics card that PyTorch can use was found")

    def test_a_driver_that_hangs_or_is_broken_means_the_processor(self, machine, monkeypatch):
        monkeypatch.setattr(torch_variants, "_PATIENCE_S", 0.2)
        machine(nvidia_smi="exec sleep 60")
        assert detected().variant is Variant.CPU

    def test_apple(self, machine, monkeypatch):
        monkeypatch.setattr(sys, "platform", "darwin")
        assert detected().variant is Variant.MPS
