"""Components that ask for more than is granted, or take more than is given, are refused or stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hostile_components import KNOWN, asking_for, interface, ungranted
from wasmtime import Store
from wasmtime.component import Component

from edgehold.errors import RuntimeRefused
from edgehold.sandbox import capabilities
from edgehold.sandbox.capabilities import make_linker
from edgehold.sandbox.engine import make_engine

if TYPE_CHECKING:
    from conftest import Figures

# ── imports ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_whatever_is_not_on_the_list_is_refused_by_every_name_and_version(figures: Figures) -> None:
    engine = make_engine()
    for what, text in ungranted().items():
        with pytest.raises(RuntimeRefused, match="asks for"):
            make_linker(engine, Component(engine, text.encode()))
        figures.add("ungranted imports refused", 1)
        assert what


def test_what_is_on_the_list_is_not_refused() -> None:
    engine = make_engine()
    component = Component(engine, asking_for(*(interface(name) for name in sorted(KNOWN))).encode())
    make_linker(engine, component).instantiate(Store(engine), component)


def test_an_engine_alone_would_grant_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """Why names are compared whole: the engine takes 0.2.0 for 0.2.9. A list that did as well would let sockets in."""
    engine = make_engine()
    asked = "wasi:sockets/tcp-create-socket@0.2.0"
    component = Component(engine, asking_for(interface(asked)).encode())
    monkeypatch.setattr(capabilities, "GRANTED", capabilities.GRANTED | {asked})
    make_linker(engine, component).instantiate(Store(engine), component)
