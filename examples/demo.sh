#!/bin/sh
# Runs the examples under opentelemetry-instrument with a tally of their own, then prints it.
#
#   examples/demo.sh BIN scripted               against the scripted server
#   examples/demo.sh BIN real PYTHON MODEL      against llama.cpp: a Python with xllamacpp, a GGUF file
#
# BIN is the directory of the environment's programs. `make demo` and `make demo-real` call this.
set -eu

bin=$(cd "$1" && pwd)
mode=$2
cd "$(dirname "$0")"

# The tally, the exporters and the endpoints of whoever runs the demo stay out of it.
for name in $(env | sed -n 's/^\(\(SPANTALLY\|OTEL\|OPENAI\)_[A-Z0-9_]*\)=.*/\1/p'); do
    unset "$name"
done
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export SPANTALLY_LEDGER="$folder/ledger.db"
export OTEL_TRACES_EXPORTER=none OTEL_METRICS_EXPORTER=none OTEL_LOGS_EXPORTER=none
export PATH="$bin:$PATH"

say() {
    printf '\n$ %s\n' "$*"
}

run() {
    say "$@"
    "$@"
}


case $mode in
scripted)
    run opentelemetry-instrument python research_team.py
    run opentelemetry-instrument python research_team_async.py
    export SPANTALLY_TOOLS=shop_tools:stock,shop_tools:price
    say "SPANTALLY_TOOLS=$SPANTALLY_TOOLS opentelemetry-instrument python zero_code.py"
    python -m spantally.testing --script zero_code.json -- opentelemetry-instrument python zero_code.py
    ;;
real)
    say opentelemetry-instrument python research_team.py
    "$3" llama_server.py "$4" -- opentelemetry-instrument python research_team.py
    ;;
*)
    echo "usage: demo.sh BIN scripted|real" >&2
    exit 2
    ;;
esac

run spantally sessions
for session in $(spantally sessions --json | python -c 'import json, sys
for row in reversed(json.load(sys.stdin)): print(row["session_id"])'); do
    run spantally show "$session"
done
run spantally cost --by agent,model
