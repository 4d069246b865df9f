#!/usr/bin/env bash
# What a GPU that is lent for minutes is asked for; see benchmarks/gpu/__main__.py, or --help.
#
#   benchmarks/gpu.sh first OUT --data cifar10.npz
#   benchmarks/gpu.sh second OUT FIRST --data cifar10.npz
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
export PYTHONPATH="$root/src:$root/benchmarks${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
exec "${PYTHON:-python3}" -m gpu "$@"
