#!/usr/bin/env bash
# Everything a GPU is asked for, in one command; JSON lands in the folder given (default: gpu-results).
#
#   benchmarks/gpu.sh RESULTS
#
# DEVICE=cpu SMOKE=1 runs small problems without a GPU, to see that the script works.
set -euo pipefail
cd "$(dirname "$0")/.."
results=${1:-gpu-results}
device=${DEVICE:-cuda}
python=${PYTHON:-python3}
options=(--device "$device" --json)
[ -z "${SMOKE:-}" ] || options+=(--smoke --repeats 1)
mkdir -p "$results"
export PYTHONPATH="$PWD/src${PYTHONPATH:+:$PYTHONPATH}"
for part in train-step augment kmeans-10 kmeans-1000 knn; do
    echo "== $part"
    "$python" -m coterie bench --only "$part" "${options[@]}" | tee "$results/$part.json"
done
echo "== a whole epoch of CIFAR-10's size"
"$python" benchmarks/epoch.py --device "$device" ${SMOKE:+--images 512 --batch 64} | tee "$results/epoch.json"
echo "== the same, compiled"
"$python" benchmarks/epoch.py --device "$device" --compile ${SMOKE:+--images 512 --batch 64 --epochs 1} |
    tee "$results/epoch-compiled.json"
