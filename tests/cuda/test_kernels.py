"""Texts of CUDA kernels, as far as no GPU is needed."""

from __future__ import annotations

import re

import pytest
import torch

from dasr.cuda import kernels


def test_there_are_none_on_a_cpu() -> None:
    assert not kernels.available(torch.device("cpu"))


@pytest.mark.parametrize("columns", [64, 128, 256])
def test_a_product_names_each_of_its_accumulators_once_and_its_operands_after_them(columns: int) -> None:
    text = kernels.matrix_product(columns)
    assert re.findall(r'"\+f"\(d\[(\d+)\]\)', text) == [str(i) for i in range(columns // 2)]
    assert f"m64n{columns}k16" in text
    braces = re.search(r"\{(%0.*?)\}, (%\d+), (%\d+)", text)
    assert braces is not None
    assert braces[1].count("%") == columns // 2
    assert braces.groups()[1:] == (f"%{columns // 2}", f"%{columns // 2 + 1}")


def test_every_source_is_in_the_package_and_braces_match() -> None:
    for text in (
        kernels.recurrence_source(512, 32),
        kernels.head_source(32_000),
        kernels.combine_source(3, 4, 1),
    ):
        assert text.count("{") == text.count("}") > 0
    assert "#define HIDDEN 512" in kernels.recurrence_source(512, 32)
    assert "mma_256" in kernels.recurrence_source(512, 32)
