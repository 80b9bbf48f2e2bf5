#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Every route is in docs/openapi.yaml, with its method, and nothing else is.
cd "${SRCDIR:-.}" || exit 1

routes() {
	tr '\n' ' ' <src/api/api.c |
	    grep -oE '\{ "[A-Z]+", *"/[^"]*"' |
	    sed -E 's/\{ "([A-Z]+)", *"([^"]*)"/\1 \2/; s/:([a-z]+)/{\1}/g' |
	    sort
}

documented() {
	awk '/^components:/ { exit }
	    /^  \/.*:/ { path = $1; sub(/:$/, "", path)
		if ($0 ~ /\{get:/) print "GET " path }
	    /^    (get|post|put|patch|delete):/ {
		m = $1; sub(/:$/, "", m); print toupper(m) " " path }' \
	    docs/openapi.yaml | sort
}

routes >"${TMPDIR:-/tmp}/routes.$$"
documented >"${TMPDIR:-/tmp}/documented.$$"
if diff "${TMPDIR:-/tmp}/routes.$$" "${TMPDIR:-/tmp}/documented.$$" |
    sed 's/^/# /' | grep .; then
	echo "not ok 1 - openapi"
	rc=1
else
	echo "ok 1 - openapi"
	rc=0
fi
rm -f "${TMPDIR:-/tmp}/routes.$$" "${TMPDIR:-/tmp}/documented.$$"
echo 1..1
exit $rc
