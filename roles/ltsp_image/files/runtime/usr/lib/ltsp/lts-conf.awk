# SPDX-License-Identifier: GPL-3.0-or-later
# Reads an lts.conf and prints the values of one node (LTS_HOSTNAME, LTS_IP, LTS_MAC in the environment) as KEY=value
# lines. Runs with mawk, gawk and busybox.

function problem(text) {
	print "line " FNR ": " text " (left out)" | "cat 1>&2"
}

function trim(s) {
	gsub(/^[ \t]+|[ \t]+$/, "", s)
	return s
}

# parse(s): the syntax of a value. Sets `value`; returns 0 for a syntax error.
function parse(s,    last, comment) {
	s = trim(s)
	if (substr(s, 1, 1) == "\"") {
		for (last = length(s); substr(s, last, 1) != "\""; last--)
			;
		comment = substr(s, last + 1)
		if (last == 1 || comment !~ /^[ \t]*(#.*)?$/)
			return 0
		value = substr(s, 2, last - 2)
		return 1
	}
	sub(/#.*/, "", s)
	value = trim(s)
	return value != "" && value !~ /[]["'=]/
}

function header(s,    name) {
	current = 0
	sub(/^\[/, "", s)
	s = trim(s)
	if (s ~ /^"[^"]*"[ \t]*\][ \t]*(#[^"]*)?$/) {
		name = substr(s, 2)
		sub(/".*/, "", name)
	} else if (s ~ /^[^]["'=#]*\][ \t]*(#.*)?$/) {
		name = s
		sub(/\].*/, "", name)
	}
	name = tolower(trim(name))
	if (name == "") {
		problem("not a section header")
		return
	}
	sections[++count] = name
	if (!(name in first))
		first[name] = count
	current = count
}

# match_one(glob, p, c): whether the character or set of a glob at position `p` matches `c`. Sets `after` to the next position.
function match_one(glob, p, c,    negated, found, from, to) {
	from = substr(glob, p, 1)
	after = p + 1
	if (from == "?")
		return 1
	if (from == "\\" && p < length(glob)) {
		after = p + 2
		return c == substr(glob, p + 1, 1)
	}
	if (from != "[")
		return c == from
	p++
	if (substr(glob, p, 1) ~ /[!^]/) {
		negated = 1
		p++
	}
	found = 0
	for (after = p; ; ) {
		if (after > length(glob)) {
			after = p - negated
			return c == "["
		}
		from = substr(glob, after, 1)
		if (from == "]" && after > p)
			break
		to = from
		if (substr(glob, after + 1, 1) == "-" && substr(glob, after + 2, 1) !~ /^]?$/) {
			to = substr(glob, after + 2, 1)
			after += 2
		}
		if (from <= c && c <= to)
			found = 1
		after++
	}
	after++
	return negated ? !found : found
}

# matches(glob, s): backtracks to the last star only, so that the time is bounded by the product of the lengths.
function matches(glob, s,    p, i, star, resume) {
	p = 1
	i = 1
	star = 0
	while (i <= length(s)) {
		if (substr(glob, p, 1) == "*") {
			star = ++p
			resume = i
		} else if (p <= length(glob) && match_one(glob, p, substr(s, i, 1))) {
			p = after
			i++
		} else if (star) {
			p = star
			i = ++resume
		} else
			return 0
	}
	while (substr(glob, p, 1) == "*")
		p++
	return p > length(glob)
}

function take(n,    i, key) {
	for (i = 1; i <= size[n]; i++) {
		key = keys[n, i]
		if (!(key in result))
			result[key] = values[n, key]
	}
}

# take_all(n): a section, and the sections that it names with LIKE, level by level.
function take_all(n,    queue, head, tail, i, like) {
	queue[1] = n
	tail = 1
	for (head = 1; head <= tail; head++) {
		n = queue[head]
		if (n in seen)
			continue
		seen[n] = 1
		take(n)
		for (i = 1; i <= likes[n]; i++) {
			like = tolower(liked[n, i])
			if (like in first)
				queue[++tail] = first[like]
		}
	}
}

{
	sub(/\r$/, "")
	line = trim($0)
}

line == "" || line ~ /^#/ {
	next
}

line ~ /^\[/ {
	header(line)
	next
}

line ~ /^include[ \t]/ {
	problem("include is not known")
	next
}

{
	at = index(line, "=")
	key = toupper(trim(substr(line, 1, at ? at - 1 : 0)))
	if (!current)
		problem("belongs to no section")
	else if (!at || key !~ /^[A-Z_][A-Z0-9_]*$/)
		problem("not of the form KEY = \"value\"")
	else if (!parse(substr(line, at + 1)))
		problem(key " has a value that is not understood; write it in double quotes")
	else if (key == "LIKE")
		liked[current, ++likes[current]] = value
	else {
		if (!((current, key) in values))
			keys[current, ++size[current]] = key
		values[current, key] = value
	}
}

END {
	ids[1] = tolower(ENVIRON["LTS_HOSTNAME"])
	ids[2] = tolower(ENVIRON["LTS_IP"])
	ids[3] = tolower(ENVIRON["LTS_MAC"])
	for (i = 1; i <= 3; i++)
		if (ids[i] != "" && (ids[i] in first)) {
			take_all(first[ids[i]])
			break
		}
	for (i = 1; i <= 3; i++)
		for (n = 1; ids[i] != "" && n <= count; n++)
			if (sections[n] ~ /[*?[]/ && matches(sections[n], ids[i])) {
				take_all(n)
				break
			}
	if ("default" in first)
		take(first["default"])
	for (key in result)
		if (tolower(result[key]) != "none")
			print key "=" result[key]
}
