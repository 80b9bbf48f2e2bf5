#!/bin/sh
# SPDX-License-Identifier: MIT
#
# For the scripts here, which source it: packages of the npm registry, in a
# folder of their own, which goes away with the script unless it was given.

# npm_install MAJOR PACKAGE@VERSION...: sets $dir to that folder and $node to a
# Node.js that is at least MAJOR; downloads 22 where the host's is older.
# shellcheck disable=SC2034
npm_install() {
	major=$1
	shift
	dir=${CONFORMANCE_DIR:-$(mktemp -d)}
	[ -n "$CONFORMANCE_DIR" ] || trap 'rm -rf "$dir"' EXIT
	npm_add "$@"
	node=node
	if ! node -e 'process.exit(process.versions.node.split(".")[0] < +process.argv[1] ? 1 : 0)' "$major"; then
		npm_add node@22
		node=$dir/node_modules/node/bin/node
	fi
}

npm_add() {
	npm install --prefix "$dir" --no-audit --no-fund --loglevel=error \
		"$@" >/dev/null
}
