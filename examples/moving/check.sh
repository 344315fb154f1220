#!/bin/sh
# Searches a chat server for what keeps it from running on libchatserver: `check.sh FILE...` takes
# its sources, and looks at the headers beside them that they include, too. It prints each place
# with the change that it takes; fit.md has the reasons. The status is 0 when there is none, 1 when
# there are some, 2 when a file cannot be read.

if [ $# -eq 0 ]; then
	echo "usage: $0 FILE..." >&2
	exit 2
fi
for file; do
	if ! [ -f "$file" ] || ! [ -r "$file" ]; then
		echo "$0: cannot read $file" >&2
		exit 2
	fi
done

# The program goes through the code statement by statement. A statement has no comments, no more
# blanks than it needs, and of its strings only letters and quotes; it ends where ";", "{" or "}"
# does it.
exec awk '
BEGIN {
	split("init_pool initPool add_conn addConn remove_conn removeConn add_msg addMsg" \
		" write_msg write_to_client writeToClient", names, " ")
	for (i in names)
		is_own[names[i]] = 1
	for (i = 1; i < ARGC; i++)
		is_known[ARGV[i]] = 1
	name = "[A-Za-z_][A-Za-z_0-9]*"
	remove = "remove(_c|C)onn\\("
	add = "add(_m|M)sg\\("
}

function report(line, what, change) {
	printf "%s", place(line, what, change)
	places++
}

function place(line, what, change,  text) {
	text = source[line]
	gsub(/^[ \t]+|[ \t]+$/, "", text)
	return sprintf("%s:%d: %s\n\t%s\n\t-> %s\n", file, line, what, text, change)
}

function found(text, pattern) {
	return match(text, pattern) ? substr(text, RSTART, RLENGTH) : ""
}

# The connection whose descriptor is the first argument of a call; "" without one.
function connection(text, call) {
	text = found(text, call name "->fd[,)]")
	gsub(/.*\(|->fd.$/, "", text)
	return text
}

# ---- From lines to statements ----

FNR == 1 {
	end_of_file()
	file = FILENAME
	depth = nest = in_comment = 0
	statement = ""
}

{ source[FNR] = $0 }

!in_comment && /^[ \t]*#/ { directive($0) }

# A macro may go on in the next line.
!in_comment && (/^[ \t]*#/ || goes_on) {
	goes_on = /\\$/
	next
}

{ take($0) }

END {
	end_of_file()
	if (!is_quiet) {
		printf "%s", own_lines
		places += own_lines != ""
	}
	if (!places)
		print "Nothing found that keeps this program from running on the library."
	exit places > 0
}

function take(text,  at, c, pair, quote) {
	for (at = 1; at <= length(text); at++) {
		c = substr(text, at, 1)
		pair = substr(text, at, 2)
		if (in_comment) {
			if (pair == "*/") {
				in_comment = 0
				at++
			}
		} else if (quote != "") {
			if (c == "\\")
				at++
			else if (c == quote || c ~ /[A-Za-z]/)
				statement = statement c
			if (c == quote)
				quote = ""
		} else if (pair == "/*") {
			in_comment = 1
			at++
		} else if (pair == "//") {
			break
		} else {
			code(c)
			if (c == "\"" || c == "\047")
				quote = c
		}
	}
	code(" ")
}

function code(c) {
	if (c ~ /[ \t]/) {
		is_apart = 1
		return
	}
	if (is_apart && c ~ /[A-Za-z_0-9]/ && statement ~ /[A-Za-z_0-9]$/)
		statement = statement " "
	is_apart = 0
	if (statement == "")
		start = FNR
	nest += (c == "(") - (c == ")")
	if (c != "{" && c != "}" && (c != ";" || nest > 0)) {
		statement = statement c
		return
	}
	nest = 0
	if (statement != "" || c == "{")
		inspect(statement, c == "{")
	statement = ""
	if (c == "{")
		depth++
	if (c == "}" && depth > 0)
		close_block()
}

# ---- What is looked for ----

function directive(text,  header) {
	if (text ~ /\/\*/ && text !~ /\*\//)
		in_comment = 1
	if (text ~ /define[ \t]+FD_SETSIZE/) {
		report(FNR, "The program has an FD_SETSIZE of its own.",
			"Delete it: the sets of a pool have the size of the system.")
	} else if (text ~ /include[ \t]*"/) {
		header = found(text, "\".*\"")
		look_at(found(file, ".*/") substr(header, 2, length(header) - 2))
	} else if (text ~ /include[ \t]*</ && text !~ /sys\/select\.h/) {
		extra[extras++] = FNR
	} else if (text ~ /define[ \t]+[^ \t]+[ \t]+[^ \t]/ && text !~ /BUFFER_SIZE/) {
		extra[extras++] = FNR
	}
}

function look_at(header,  text) {
	if (!(header in is_known) && (getline text <header) >= 0) {
		ARGV[ARGC++] = header
		close(header)
	}
	is_known[header] = 1
}

function end_of_file(  i) {
	if (file_defines != "")
		report(defined_at, "The program has its own" file_defines ".",
			"Delete all of them, and whatever only they use, before you link.")
	if (has_structs)
		report(has_structs, "The program declares the structs itself.",
			"Leave that to the chatServer.h of the library.")
	if (has_structs && file !~ /\.c$/)
		for (i = 0; i < extras; i++)
			report(extra[i], "Who includes this header gets this as well.",
				"Keep it in the program, if that uses it.")
	has_structs = extras = 0
	file_defines = ""
}

function inspect(s, opens) {
	if (s ~ /chat_set_quiet\(/)
		is_quiet = 1
	if (depth == 0) {
		at_the_top(s, opens)
		return
	}
	in_any_function(s)
	if (this_function in is_own)
		in_own_function(s)
	else
		in_the_program(s, opens)
}

function at_the_top(s, opens) {
	if (s ~ /struct conn_pool$/ && opens || s == "conn_pool_t" && !has_structs)
		has_structs = start
	this_function = first = ""
	if (!opens || s !~ /\)$/)
		return
	this_function = found(s, name "\\(")
	sub(/\(/, "", this_function)
	first = found(s, "\\(int " name)
	sub(/.* /, "", first)
	if (this_function in is_own) {
		if (file_defines == "")
			defined_at = start
		file_defines = file_defines (file_defines == "" ? " " : ", ") this_function
	}
}

function in_any_function(s) {
	if (s ~ /conn_head=.*alloc\(/ || s ~ /^(for|while)\(.*!=[^;]*[>.]conn_head[;)&|]/)
		report(start, "The list is a ring, or has a head that is no connection.",
			"Begin at conn_head, which is NULL without connections, and end at NULL.")
	if (s ~ /[>.]maxfd=[^=]*\+1$/ || s ~ /select\([^,]*[>.]maxfd,/)
		report(start, "maxfd is taken for the highest descriptor plus one.",
			"Pass maxfd + 1 to select, and go up to maxfd itself.")
	if (s ~ /select\(.*&[^,]*[>.](read|write)_set[,)]/)
		report(start, "select writes into read_set or write_set.",
			"Exchange the names read_set and ready_read_set, and those for writing.")
}

function in_own_function(s) {
	if (this_function ~ /^add(_m|M)sg$/ && first != "" && index(s, "FD_SET(" first ","))
		for_one(start)
	if (this_function ~ /^add(_c|C)onn$/ && s ~ /->next=[^=]*[>.]conn_head$/)
		newest_first(start)
}

function for_one(line) {
	report(line, "The descriptor that add_msg gets is the recipient.",
		"Call chat_tell(sd, buffer, len, pool) for that; add_msg leaves sd out.")
}

function newest_first(line) {
	report(line, "The newest connection is expected at conn_head.",
		"Use the descriptor passed to add_conn; new connections are at the end.")
}

function in_the_program(s, opens,  v) {
	if (s ~ /(printf|puts|write)\(.*"[^"]*[Rr]emov/)
		own_lines = own_lines place(start, "remove_conn prints such a line, too.",
			"Delete this one, or call chat_set_quiet(1) once at the start.")
	if (s ~ /alloc\(.*sizeof\(?(struct )?(conn|msg)(_t)?([^A-Za-z_0-9]|$)/)
		report(start, "The program makes a connection or a message itself.",
			"Leave that to the library, whose structs are longer than they look.")
	after_add_conn(s)
	after_remove_conn(s)
	if ((v = connection(s, "(read|recv)\\(")) != "")
		is_read[v] = 1
	if ((v = connection(s, add)) != "")
		told[v] = start
	split(found(s, name "=" name "->next"), step, /=|->/)
	if (step[1] == step[2])
		is_walked[step[1]] = 1
	if (opens)
		header[depth + 1] = s
}

# Looks for conn_head as the newcomer, from add_conn to the end of that block.
function after_add_conn(s) {
	if (added && s ~ /[>.]conn_head/ && s !~ /^(for|while)\(/ && s !~ remove)
		newest_first(start)
	if (s ~ /(^|[^A-Za-z_])accept4?\(/)
		accepts = 1
	if (accepts && s ~ /add(_c|C)onn\(/)
		added = depth
}

# Looks for what uses a connection after it has been removed: the next statements, unless they are
# the other branch, and the step of the loop round them.
function after_remove_conn(s,  v, uses, sets) {
	if (s ~ /^else/)
		split("", removed)
	for (v in removed) {
		uses = match(s, "(^|[^A-Za-z_0-9>.])" v "->")
		sets = match(s, "(^|[^A-Za-z_0-9>.])" v "=[^=]")
		if (sets && uses == sets + RLENGTH - 2)
			sets = 0 # from itself, as in v = v->next
		if (uses && (!sets || uses < sets))
			used_after_removal(v, removed[v])
		else if (sets)
			delete removed[v]
	}
	if ((v = connection(s, remove)) != "") {
		removed[v] = stepped[v] = start
		step_of_loop(s)
	}
	if (s ~ /(^|[^A-Za-z_])(break|return|goto|exit)/) {
		split("", removed)
		split("", stepped)
	}
}

function step_of_loop(s,  v) {
	for (v in stepped) {
		if (index(s, "for(") && index(s, ";" v "=" v "->next)"))
			used_after_removal(v, stepped[v])
	}
}

function used_after_removal(v, line) {
	report(line, "What remove_conn has freed is used afterwards.",
		"Take what is needed of " v ", and " v "->next, before the call.")
	delete removed[v]
	delete stepped[v]
}

function close_block(  v) {
	if (header[depth] ~ /(for|while)\(/) {
		step_of_loop(header[depth])
		split("", stepped)
	}
	delete header[depth]
	if (added >= depth)
		added = 0
	if (--depth > 0)
		return
	for (v in told)
		if (v in is_walked && !(v in is_read))
			for_one(told[v])
	accepts = 0
	split("", told)
	split("", removed)
	split("", stepped)
	split("", is_walked)
	split("", is_read)
}
' "$@"
