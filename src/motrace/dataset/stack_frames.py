"""Frames of stacks, ``function (module:line)``: which are compiled code. Only positive evidence makes one native."""

from __future__ import annotations

import re

_ADDRESS = re.compile(r"\?$|0x[0-9a-f]+$")
_COMPILED = re.compile(
    r"^\?|^\[|\.(so|dylib|dll|pyd|node)(\.[\w.]+)?(:\d+)?$"  # no file, [vdso], a library
    r"|^lib[\w.+-]+$|^(python|pypy)[\w.-]*$|\.exe$"  # a library or a program, without a line
    r"|\.(c|cc|cpp|cxx|cu|h|hh|hpp|hxx|cuh|inc|ipp|tcc|rs|s|S|asm|f|f90|go|zig|m|mm|swift)(:\d+)?$"
)
_PYTHON = re.compile(r"\.(py[xiwc]?|pxi|ipynb)(:\d+)?$|^<[^>]*>(:\d+)?$")
_SCOPE = re.compile(r"<\w+>$|<cell line: \d+>$")
_SYMBOL = re.compile(r"::|^_*(?:Py|Pyx|GI|libc|pthread|start$|clone|dl)_?[A-Z_]|^_*(?:start|clone3?|main)$|@@")
"""What no function of Python's is called: told of a program that bears no suffix, and no line."""


def is_native(frame: str) -> bool:
    """Whether a frame is compiled code. A console script, ``<module> (uvicorn:8)``, is Python."""
    function, bracket, module = frame.rpartition(" (")
    if not bracket:
        return bool(_ADDRESS.match(frame))
    module = module.removesuffix(")")
    if _PYTHON.search(module) or _SCOPE.match(function):
        return False
    bare = not re.search(r":\d+$", module)
    return bool(_COMPILED.search(module) or _ADDRESS.match(function) or (bare and _SYMBOL.search(function)))
