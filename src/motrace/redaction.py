"""Credentials out of what is written: their values only, every other word stays as it was. Standard library only.

A name says what is a credential (``--api-key``, ``WANDB_API_KEY``, ``auth.token``), or a value does by its form.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TypeVar, cast

from .output import JsonValue

Data = TypeVar("Data", bound=JsonValue)

REDACTED = "[redacted]"

_CREDENTIAL = re.compile(
    r".*(?:password|passwd|passphrase|apikey)|(?:.*_)?(?:pwd|secrets?|token|credentials?|auth|authorization|cookie|bearer|"
    r"(?:auth|access|refresh)token|(?:access|secret|private)key|access_key_id|"
    r"(?:api|access|secret|private|auth|encryption|signing|account|master|subscription|ssh|deploy|wandb|openai|"
    r"anthropic|kaggle|comet|license|storage|shared|session|service)_key|(?:api|access|secret|private)_keys|jwt|"
    r"(?:db|database|user|admin|root|login|smtp|ftp|http|proxy|sudo|vnc|my|postgres|mysql|redis)_pass)"
)
_VARIABLE = re.compile(r".+_(?:key|pass|pat)")
"""Of environment variables, in capitals."""
_OF_A_MODEL = re.compile(
    r"(?:.*_)?(?:pad|eos|bos|unk|mask|sep|cls|stop|special|image|video|audio|start|end|eot|next|action|per|max|min|num)_token"
)

_OPTION = re.compile(r"--|-[A-Za-z]|--[a-z][a-z\d]*(?:[-_.][a-z\d]+)*(?:=.*)?", re.DOTALL)
"""What follows an option that takes no value; a credential may begin with a dash too."""
_NAME = r"[A-Za-z_][\w.\-/]*"
_FLAG = re.compile(rf"(?:--?|\+{{1,2}}|~)?({_NAME})")
_PAIR = re.compile(rf"((?:--?|\+{{1,2}}|~)?)({_NAME})([=:])(.+)", re.DOTALL)
_QUERY = re.compile(rf"([?&;])({_NAME})=([^&;#\s\"']*)")
_IN_TEXT = re.compile(
    rf"(?<![\w.\-/?&])(--?)?({_NAME})([\"']?\]?\s*[=:]\s*|(?<=\w)\s+)((?:Bearer|Basic|Token)\s+)?"
    r"(\"[^\"]*\"|'[^']*'|[^\s\"']+)"
)
_USER = re.compile(r"(?<=://)([^\s/@:\"']*):([^\s/\"']+)@")
_USER_ALONE = re.compile(r"(?<=https://)([^\s/@:\"']+)@")
_SCHEME = re.compile(r"\b(Bearer|Basic)(\s+)(?=[\w.~+/-]*[\d=.~+/_-])[\w.~+/-]{6,}=*", re.IGNORECASE)
_FORM = re.compile(
    r"\b(?:hf_[A-Za-z0-9]{20,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{20,}|sk-[\w-]{20,}|"
    r"xox[abprs]-[\w-]{10,}|(?:AKIA|ASIA)[0-9A-Z]{16}|AIza[\w-]{35}|eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]+)"
)


@lru_cache(4096)
def is_credential(name: str) -> bool:
    """Whether what bears this name (of an option, a variable, a key) is a credential."""
    plain = "_".join(re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)).lower()
    if name in ("PWD", "OLDPWD") or _OF_A_MODEL.fullmatch(plain):
        return False
    return bool(_CREDENTIAL.fullmatch(plain) or (name.isupper() and _VARIABLE.fullmatch(plain)))


def text(value: str) -> str:
    """A text without the values of credentials in it."""
    whole = _PAIR.fullmatch(value)
    if whole and "://" not in whole[2] + whole[3] + whole[4][:2] and is_credential(whole[2]):
        return f"{whole[1]}{whole[2]}{whole[3]}{REDACTED}"
    value = _USER.sub(rf"\1:{REDACTED}@", value)
    value = _USER_ALONE.sub(f"{REDACTED}@", value)
    value = _QUERY.sub(lambda m: f"{m[1]}{m[2]}={REDACTED}" if is_credential(m[2]) else m[0], value)
    value = _in_text(value)
    value = _SCHEME.sub(rf"\1\2{REDACTED}", value)
    return _FORM.sub(REDACTED, value)


def _in_text(value: str) -> str:
    """``name=value``, ``name: value`` and ``--name value`` somewhere in a text."""
    parts: list[str] = []
    at = 0
    while found := _IN_TEXT.search(value, at):
        flag, name, between, scheme, secret = (found[number] or "" for number in range(1, 6))
        spaced = not between.strip(" \t\n\"'")
        if is_credential(name) and (flag or not spaced) and not (spaced and _OPTION.fullmatch(secret)):
            quote = secret[0] if secret[0] in "\"'" else ""
            parts += [value[at : found.start(4) if scheme else found.start(5)], scheme, quote, REDACTED, quote]
            at = found.end()
        else:
            end = found.end(2)
            parts.append(value[at:end])
            at = end
    return "".join(parts) + value[at:]


def words(command: list[str] | tuple[str, ...]) -> list[str]:
    """A command line, word by word, without the values of credentials: ``--token abc`` as well as ``--token=abc``."""
    out: list[str] = []
    secret_next = False
    for word in command:
        if secret_next and not _OPTION.fullmatch(word):
            out.append(REDACTED)
            secret_next = False
            continue
        flag = _FLAG.fullmatch(word)
        secret_next = bool(flag and word.startswith("-") and is_credential(flag[1]))
        out.append(text(word))
    return out


def redacted(data: Data) -> Data:
    """JSON without credentials: in texts, in lists of words as in a command line, and under keys that name one."""
    return cast(Data, _redacted(data))


def _redacted(data: JsonValue) -> JsonValue:
    if isinstance(data, str):
        return text(data)
    if isinstance(data, Mapping):
        return {key: _under(key, value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        if all(isinstance(one, str) for one in data):
            return words(data)
        return [_redacted(one) for one in data]
    return data


def _under(key: str, value: JsonValue) -> JsonValue:
    if not is_credential(key):
        return _redacted(value)
    if isinstance(value, list | tuple):
        return [_under(key, one) for one in value]
    return REDACTED if isinstance(value, str) and value else _redacted(value)  # a number may be of a span of that name
