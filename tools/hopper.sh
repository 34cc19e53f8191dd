#!/bin/sh
# The original request in one command, on any GPU: UniLab's G1 dance eval on Motrix, recorded, captured and without a
# renderer, at 1, 4 and 16 environments, then one pass each under Nsight Systems and py-spy. docs/unilab.md has more.
# A step that fails is written down and the next one is made. The end is one report and one archive to take away.
set -u
cd "$(dirname "$0")/.."
BIN=${HOPPER_BIN:-.venv/bin}
ENVS=${HOPPER_ENVS:-1 4 16}
SIZE=${HOPPER_SIZE:-1280x720}
FRAMES=${HOPPER_FRAMES:-100}
SECONDS_IN_ALL=${HOPPER_SECONDS:-600}
OUT=${HOPPER_OUT:-traces/hopper-$(date -u +%Y%m%d-%H%M%S)}
UNILAB_ARGS=${HOPPER_UNILAB_ARGS:---load-run tiny_motrix}
REPORT_SECONDS=60 # what analysis and packing take is kept free

begun=$(date +%s)
mkdir -p "$OUT"
steps=$OUT/steps.tsv
printf 'step\tstatus\tseconds\tlog\n' >"$steps"

step() { # NAME COMMAND...: run within the time that is left, and write down how it ended
    name=$1
    shift
    started=$(date +%s)
    left=$((SECONDS_IN_ALL - REPORT_SECONDS - (started - begun)))
    if [ "$left" -lt 15 ]; then
        echo "$name: left out: the time is used up (HOPPER_SECONDS=$SECONDS_IN_ALL)"
        printf '%s\tleft out\t0\t\n' "$name" >>"$steps"
        return 1
    fi
    echo "$name: started"
    timeout -s INT -k 30 "$left" "$@" >"$OUT/$name.log" 2>&1
    status=$?
    took=$(($(date +%s) - started))
    printf '%s\t%s\t%s\t%s\n' "$name" "$status" "$took" "$name.log" >>"$steps"
    if [ "$status" = 0 ]; then
        echo "$name: done in $took s"
    else
        echo "$name: failed with status $status after $took s: $(tail -n 1 "$OUT/$name.log")"
    fi
    return "$status"
}

step vulkan "$BIN/python" -m tools.hopper_report --adapter && cat "$OUT/vulkan.log"
command -v nvidia-smi >/dev/null 2>&1 && step nvidia-smi nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv

collect=pyspy
if command -v nsys >/dev/null 2>&1; then collect=nsys,pyspy; else
    echo "nsys: left out: no nsys on PATH (\`make nsys\` on Debian)"
    printf 'nsys\tleft out: no nsys on PATH\t0\t\n' >>"$steps"
fi
last=${ENVS##* } # the profiled passes belong to the largest batch
# shellcheck disable=SC2086 # the arguments are words
for envs in $ENVS; do
    watch=
    [ "$envs" = "$last" ] && watch="--collect $collect"
    step "$(printf 'e%03d' "$envs")" "$BIN/python" -m tools.run_record --out "$OUT" --name "$(printf 'e%03d' "$envs")" \
        --workload unilab --mode all $watch --num-envs "$envs" --size "$SIZE" --frames "$FRAMES" -- $UNILAB_ARGS
done

"$BIN/python" -m tools.analyze "$OUT" >"$OUT/analyze.log" 2>&1
printf 'analyze\t%s\t0\tanalyze.log\n' "$?" >>"$steps"
exec "$BIN/python" -m tools.hopper_report "$OUT"
