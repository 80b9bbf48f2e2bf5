#!/bin/sh
# SPDX-License-Identifier: MIT
# summary.sh FILE [SEPARATOR]: a line for each column of a CSV file.
set -eu

[ $# -ge 1 ] || { echo "usage: summary.sh FILE [SEPARATOR]" >&2; exit 64; }
[ -r "$1" ] || { echo "summary.sh: $1 cannot be read" >&2; exit 66; }

awk -v sep="${2:-,}" '
# Cells of a line into cell[1..n]; quotes are taken off.
function split_line(line,    n, i, c, quoted, text) {
	n = 1; quoted = 0; text = ""
	for (i = 1; i <= length(line); i++) {
		c = substr(line, i, 1)
		if (c == "\"" && quoted && substr(line, i + 1, 1) == "\"") {
			text = text c; i++
		} else if (c == "\"") {
			quoted = !quoted
		} else if (c == sep && !quoted) {
			cell[n++] = text; text = ""
		} else {
			text = text c
		}
	}
	cell[n] = text
	return n
}
{ sub(/\r$/, "") }
NR == 1 { columns = split_line($0); for (i = 1; i <= columns; i++) name[i] = cell[i]; next }
$0 == "" { next }
{
	n = split_line($0); rows++
	if (n != columns)
		printf "line %d has %d cells, the first has %d\n", NR, n, columns
	for (i = 1; i <= columns && i <= n; i++) {
		v = cell[i]
		if (v == "") { empty[i]++; continue }
		if (!((i, v) in seen)) { seen[i, v] = 1; different[i]++ }
		if (v !~ /^-?[0-9]+(\.[0-9]+)?$/) { words[i] = 1; continue }
		if (!(i in count) || v + 0 < min[i]) min[i] = v + 0
		if (!(i in count) || v + 0 > max[i]) max[i] = v + 0
		count[i]++; sum[i] += v
	}
}
END {
	for (i = 1; i <= columns; i++) {
		printf "%s: rows %d, empty %d, different %d", name[i], rows, empty[i], different[i]
		if (count[i] > 0 && !(i in words))
			printf ", min %g, max %g, mean %g", min[i], max[i], sum[i] / count[i]
		printf "\n"
	}
}' "$1"
