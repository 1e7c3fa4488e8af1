#!/bin/sh
# Records `glidepath status --watch`, which ends with `--wait`, of a bad release on the real test cluster, for the README's picture.
#
#   cargo build --bin glidepath && cargo run --example cluster -- up --dir /tmp/lane     # in one terminal
#   cargo run --example cluster -- enter --dir /tmp/lane tests/record/record.sh           # in another
#   cargo run --example record -- tests/record/status-watch docs/status-watch.svg
#
# Version 1.0 of a service is deployed and gets 200 requests a second through Envoy. Then 1.1 comes, which answers 3 % of
# its requests with errors. GLIDEPATH names the binary.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
glidepath=${GLIDEPATH:-target/debug/glidepath}
rate() { printf '[{"op":"replace","path":"/spec/template/spec/containers/0/env/0/value","value":"%s"},{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"%s"}]' "$1" "$2"; }

kubectl apply --server-side -k "$here/../../deploy/crds"
"$glidepath" controller --prometheus http://127.0.0.1:9090 --listen 127.0.0.1:8081 >/tmp/record-controller.log 2>&1 &
controller=$!
kubectl delete namespace shop --ignore-not-found    # the controller must run: it hands back before the Rollout goes
kubectl apply --server-side -f "$here/web.yaml"
python3 "$here/load.py" web.shop 200 >/dev/null 2>&1 &
load=$!
trap 'kill $controller $load' EXIT
"$glidepath" -n shop status web --wait --timeout 1m
sleep 20    # traffic for the good version, and Prometheus to have found its pods

kubectl -n shop patch gro web --type=json -p "$(rate 0.03 shop/web:1.1)"
until [ "$("$glidepath" -n shop get web -o json | python3 -c 'import json,sys; print(json.load(sys.stdin)["status"]["phase"])')" = Progressing ]; do sleep 0.2; done
TERM=xterm-256color script -qe -O "$here/status-watch.out" -T "$here/status-watch.timing" \
    -c "stty columns 100 rows 24; $glidepath -n shop status web --watch --wait --color always --timeout 5m" </dev/null || echo "ended with $?"
# `script` without a terminal of its own does not say how large the terminal was.
sed -i '1s/.*/COLUMNS="100" LINES="24"/' "$here/status-watch.out"
