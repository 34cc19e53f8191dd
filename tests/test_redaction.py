"""Credentials and people's folders stay out of manifests and reports; every other word of a command stays in."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import motrace
from motrace import redaction
from motrace.commands import analyze
from motrace.own_paths import shortened
from motrace.redaction import REDACTED as R

SECRET = "s3cr3t-value"


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        (["--token=a,b&c"], [f"--token={R}"]),
        (["--api-key", "abc", "--frames", "3"], ["--api-key", R, "--frames", "3"]),
        (["-password", "x"], ["-password", R]),
        (["--token", "-abc", "--password", "--aB_9-x", "x"], ["--token", R, "--password", R, "x"]),
        (["--auth", "-v", "--auth", "--dry_run=1", "--auth", "--", "x"],) * 2,
        (["failed: run --token -abc --x"], [f"failed: run --token {R} --x"]),
        (["-c", "os.environ['HF_TOKEN'] = 'abc'"], ["-c", f"os.environ['HF_TOKEN'] = '{R}'"]),
        (
            ["--wandb-key", "abc", "--db-pass=abc", "--api-keys", "a,b"],
            ["--wandb-key", R, f"--db-pass={R}", "--api-keys", R],
        ),
        (["--token", "--frames", "3"], ["--token", "--frames", "3"]),
        (["env", "WANDB_API_KEY=abc"], ["env", f"WANDB_API_KEY={R}"]),
        (["--env=HF_TOKEN=abc"], [f"--env=HF_TOKEN={R}"]),
        (["+auth.token=abc", "logger.wandb.apiKey=abc"], [f"+auth.token={R}", f"logger.wandb.apiKey={R}"]),
        (["--url=https://user:p@w@host/x?a=1"], [f"--url=https://user:{R}@host/x?a=1"]),
        (["https://h/?a=1&access_token=abc&b=2"], [f"https://h/?a=1&access_token={R}&b=2"]),
        (["-H", "Authorization: Bearer abc.def"], ["-H", f"Authorization:{R}"]),
        (["--header=Authorization: Bearer abc.def"], [f"--header=Authorization: Bearer {R}"]),
        (["-c", "login(api_key='abc', n=3)"], ["-c", f"login(api_key='{R}', n=3)"]),
        (['{"api_key": "a b", "n": 1}'], [f'{{"api_key": "{R}", "n": 1}}']),
        (["error: unrecognized arguments: --token abc --x 1"], [f"error: unrecognized arguments: --token {R} --x 1"]),
        (["hf_" + "a1B2" * 8], [R]),
    ],
)
def test_values_of_credentials_are_redacted(command: list[str], shown: list[str]) -> None:
    assert redaction.words(command) == shown


def test_everything_else_stays_as_it_was_typed() -> None:
    command = [
        "python",
        "-m",
        "x",
        "--tokenizer",
        "a",
        "--tokenizer=a",
        "--keyframe",
        "3",
        "--max-tokens",
        "5",
        "--monkey",
        "x",
        "--key",
        "3",
        "--sort-key=name",
        "--pass",
        "2",
        "--pad-token",
        "0",
        "--eos_token=</s>",
        "--token-file",
        "x",
        "--author",
        "me",
        "--secretary",
        "x",
        "PWD=/x",
        "hydra.run.dir=x:y",
        "16x8:2",
        "git@github.com:o/r",
        "https://host/x@1",
        "ssh://git@host/x",
        "s3://bucket/key=3/x",
        "prim=/World/env_.*/Robot",
        "--password-length=5",
        "--authority",
        "x",
        "--use-tokens",
        "12:30:40",
    ]
    assert redaction.words(command) == command
    for text in ("no token was given", "the bearer of news", "basic configuration", "a token of it: 5 %"):
        assert redaction.text(text) == text


def test_under_a_key_that_names_a_credential() -> None:
    data = {
        "wandb": {"api_key": "abc", "tokens": 5, "token": None},
        "tokenizer": "x",
        "secrets": ["a", ""],
    }
    shown = {"wandb": {**data["wandb"], "api_key": R}, "tokenizer": "x", "secrets": [R, ""]}
    assert redaction.redacted(data) == shown


@pytest.mark.parametrize("kind", ["workload", "program"])
def test_a_credential_reaches_the_program_and_no_file(
    run_program: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, kind: str
) -> None:
    program, table, got = tmp_path / "prog.py", tmp_path / "what.toml", tmp_path / "got"
    program.write_text(
        "import sys, motrace\nclass It:\n    def __init__(self, context): self.words = context.options.workload_args\n"
        "    def run(self):\n        motrace.segment('loop')\n        with motrace.frame(): work(self.words)\n"
        f"def work(words): open({str(got)!r}, 'w').write(' '.join(words))\n"
        "if __name__ == '__main__': work(sys.argv[1:])\n"
    )
    table.write_text('[phases]\n"__main__.work" = "step"\n')
    words = ("--token", SECRET, f"auth.password={SECRET}", "--tokenizer", "kept", f"http://u:{SECRET}@host/")
    how = {
        "workload": ("--workload", "prog:It", "--mode", "none", "--frames", "1", "--", *words),
        "program": ("--instrument", table, "--", sys.executable, program, *words),
    }[kind]
    environment = {"PYTHONPATH": str(tmp_path)}
    options = ("--out", tmp_path / "traces", "--name", "x", "--collect", "none")
    done = run_program("-m", "tools.run_record", *options, *how, **environment)
    assert got.read_text() == " ".join(words)
    home = tmp_path / "traces/x"
    done = run_program("-m", "tools.analyze", home)
    assert SECRET not in done.stdout + done.stderr
    for path in home.rglob("*"):
        assert path.is_dir() or SECRET.encode() not in path.read_bytes(), path
    argv = json.loads((home / "experiment.json").read_text())["command"]["argv"]
    assert argv[-6:] == ["--token", R, f"auth.password={R}", "--tokenizer", "kept", f"http://u:{R}@host/"]
    for name in ("report.json", "report.md", "report.html"):
        assert str(tmp_path) not in (home / "analysis" / name).read_text(), name


def test_a_recording_from_before_is_redacted_when_it_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "old"
    motrace.start(home, cpu_clocks=False)
    with motrace.frame():
        pass
    motrace.stop()
    run = json.loads((home / "01/run.json").read_text())
    run |= {"status": "crashed", "status_reason": f"bad arguments: --token {SECRET} in /home/someone/prog.py"}
    (home / "01/run.json").write_text(json.dumps(run))
    argv = ["python", "/home/someone/prog.py", "--api-key", SECRET, "--out", str(tmp_path / "elsewhere")]
    facts = {"experiment": "old", "command": {"argv": argv, "options": {}, "chosen": []}, "environment": {}}
    (home / "experiment.json").write_text(json.dumps(facts))
    assert analyze.main([str(home)]) == 0
    told = capsys.readouterr()
    texts = {name: (home / "analysis" / name).read_text() for name in ("report.json", "report.md", "report.html")}
    for name, text in {**texts, "terminal": told.out + told.err}.items():
        assert SECRET not in text and "/home/someone" not in text, name
    report = json.loads(texts["report.json"])
    assert report["command"]["argv"] == ["python", "~/prog.py", "--api-key", R, "--out", "../elsewhere"]


def test_paths_of_people_and_of_the_experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/srv/me")
    home = tmp_path / "traces/x"
    home.mkdir(parents=True)
    shown = {
        f"{home}/01/spans.bin can't be read": "01/spans.bin can't be read",
        str(home): ".",
        f"{tmp_path}/prog.py": "../../prog.py",
        f"{home}2/y": "../x2/y",
        f"-I{Path.home()}/include": "-I~/include",
        "a=/home/bob/x:/Users/al": "a=~/x:~",
        "/mnt/home/bob/x": "/mnt/home/bob/x",
        "/usr/lib/libvulkan.so": "/usr/lib/libvulkan.so",
    }
    assert shortened([*shown], home) == [*shown.values()]
