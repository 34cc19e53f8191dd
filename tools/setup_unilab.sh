#!/bin/sh
# UniLab in an environment of its own, .venv-unilab, with the versions that docs/unilab.md was written with.
# Where SHARED/unilab is there (assets and a run folder for machines without a network), they are put in place:
# meshes and motions into the package, the run folder into .venv-unilab/work, from which the eval is then started.
set -eu
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}
SHARED=${MOTRACE_SHARED:-../shared}
VENV=.venv-unilab
BIN=$VENV/bin

# UniLab compiles parts of its environment (torch.compile), which takes a C++ compiler.
if ! command -v c++ >/dev/null 2>&1 && ! command -v g++ >/dev/null 2>&1; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends g++ >/dev/null
    else
        echo "UniLab needs a C++ compiler: install g++" >&2
        exit 1
    fi
fi

if [ ! -e "$VENV/.done" ] || [ tools/unilab-requirements.txt -nt "$VENV/.done" ]; then
    "$PYTHON" -m venv "$VENV"
    "$BIN/python" -m pip install --quiet --requirement tools/unilab-requirements.txt
    touch "$VENV/.done"
fi

PACKAGE=$("$BIN/python" -c "import importlib.util; print(importlib.util.find_spec('unilab').submodule_search_locations[0])")
mkdir -p "$VENV/work/src"
ln -sfn "$PACKAGE" "$VENV/work/src/unilab" # its scenes are named relative to a checkout of UniLab
if [ -d "$SHARED/unilab" ]; then
    cp -r "$SHARED/unilab/robots/g1/." "$PACKAGE/assets/robots/g1/"
    mkdir -p "$PACKAGE/assets/motions/g1"
    cp -r "$SHARED/unilab/motions/g1/." "$PACKAGE/assets/motions/g1/"
    cp -r "$SHARED/unilab/logs" "$VENV/work/"
    echo "UniLab is ready in $VENV; a run folder: tiny_motrix"
else
    echo "UniLab is ready in $VENV; no $SHARED/unilab here, so it downloads assets from Hugging Face when it needs them"
fi
