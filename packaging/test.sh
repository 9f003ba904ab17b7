#!/bin/sh
# Sets everything up and runs all tests. The last line is `N passed, N failed`.
set -eu
cd "$(dirname "$0")/.."
packaging/setup.sh --tests
npm test --silent -- "$@"
