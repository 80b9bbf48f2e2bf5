# SPDX-License-Identifier: MIT
#
# embed.awk COMMON SCRIPT: SCRIPT with what it needs of COMMON, without comments
# and indentation. COMMON has parts, each from a "local" at the beginning of a
# line to the next; needed is one that is named, and what that one names.
#
# It stands before the script, or where a line says "--+ common": what is above
# does without. What only the lines between "--+ needs" and "--+ end" name is
# made there, so that calls that do not come by need not pay for it: Lua makes a
# function whenever it comes to one, and Redis's collector sees all of them.

function is_mark(line)
{
	return line ~ /^--[+] /
}

FILENAME == ARGV[1] && /^local / {
	name = $2 == "function" ? $3 : $2
	sub(/[^A-Za-z0-9_].*/, "", name)
	place[name] = ++parts
}

{ gsub(/^[ \t]+/, "") }

/^--/ && !is_mark($0) { next }

FILENAME == ARGV[1] {
	part[parts] = part[parts] $0 "\n"
	next
}

{ script = script $0 "\n" }

# Adds what a text needs, its own "needs" apart, to a set of places in COMMON;
# has is what is there already.
function add_needed(text, set, has,    lines, words, n, m, i, j, depth, at)
{
	n = split(text, lines, "\n")
	for (i = 1; i <= n; i++) {
		if (is_mark(lines[i])) {
			depth += lines[i] == "--+ needs"
			depth -= lines[i] == "--+ end"
			continue
		}
		m = depth ? 0 : split(lines[i], words, /[^A-Za-z0-9_]+/)
		for (j = 1; j <= m; j++) {
			at = place[words[j]]
			if (at && !(at in set) && !(at in has)) {
				set[at] = 1
				add_needed(part[at], set, has)
			}
		}
	}
}

# Writes what is needed of a text, and all that is there then into has.
function write_needed(text, has,    set, i)
{
	split("", set)
	add_needed(text, set, has)
	for (i = 1; i <= parts; i++)
		if (i in set) {
			write(part[i], has)
			has[i] = 1
		}
}

function write_block(text, has,    all, i)
{
	for (i in has)
		all[i] = 1
	write_needed(text, all)
	write(text, all)
}

function write(text, has,    lines, n, i, depth, block)
{
	n = split(text, lines, "\n")
	for (i = 1; i < n; i++) {
		if (lines[i] == "--+ end" && --depth == 0)
			write_block(block, has)
		else if (depth > 0)
			block = block lines[i] "\n"
		else if (lines[i] == "--+ common")
			write_needed(text, has)
		else if (lines[i] != "--+ needs")
			print lines[i]
		if (lines[i] == "--+ needs" && depth++ == 0)
			block = ""
	}
}

END {
	split("", has)
	if (script !~ /\n--[+] common\n/)
		write_needed(script, has)
	write(script, has)
}
