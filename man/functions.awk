# functions.awk - makes a manual page, in mdoc(7), of every function and every struct that the
# headers declare. The text comes from the comments there, and an example's program from examples/:
#
#     awk -f man/functions.awk -v out=build/man man/libchatserver.3 include/*.h
#
# The overview lends its pages their date and version. A function whose comment begins with "The
# same as" or "As" another function has its place in that one's page, and a link instead of a page.

BEGIN {
	count = split("accept 2 close 2 free 3 malloc 3 printf 3 read 2 select 2 write 2", words, " ")
	for (i = 1; i < count; i += 2)
		section[words[i]] = words[i + 1]
}

FNR == NR {
	if (/^[.]Dd/) dated = $0
	if (/^[.]Os/) made_by = $0
	next
}

FNR == 1 { header = FILENAME; sub(/.*\//, "", header) }

sub(/^ *\/\*\*/, "") { comment = ""; in_comment = 1 }

in_comment {
	if (sub(/ *\*\/$/, "")) in_comment = 0
	sub(/^ *\*/, "")
	sub(/^ /, "")
	if (comment $0 != "") comment = comment $0 "\n"
	next
}

/^typedef struct / {
	sub(/;/, "", $4)
	types[++type_count] = $4
	is_type[$4] = 1
	struct_of[$4] = $3
}

/^struct / {
	struct = $2
	about[struct] = comment
	include[struct] = header
	definition[struct] = $0
}

struct != "" && /^ .*;$/ {
	sub(/^ +/, "")
	definition[struct] = definition[struct] "\n\t" $0
	sub(/;/, "")
	sub(/.*[ *]/, "")
	fields[struct] = fields[struct] " " $0
	about[struct "." $0] = comment
	is_field[$0] = 1
}

/^};/ { definition[struct] = definition[struct] "\n};"; struct = "" }

/^[a-z].*\(.*\);$/ {
	name = returned = arguments = $0
	sub(/\(.*/, "", name)
	sub(/.*[ *]/, "", name)
	sub(/ ?[A-Za-z_]+\(.*/, "", returned)
	sub(/^[^(]*\(/, "", arguments)
	sub(/\);$/, "", arguments)
	gsub(/, /, "\" \"", arguments)
	functions[++function_count] = name
	prototype[name] = ".Ft " returned "\n.Fn " name " \"" arguments "\""
	about[name] = comment
	include[name] = header
}

NF { comment = "" }

END {
	for (i = 1; i <= function_count; i++)
		if ((original = original_of(functions[i])) != "")
			others[original] = others[original] " " functions[i]
	for (i = 1; i <= function_count; i++) {
		name = functions[i]
		if ((original = original_of(name)) == "")
			function_page(name)
		else
			print ".so man3/" original ".3" >(out "/" name ".3")
	}
	for (i = 1; i <= type_count; i++)
		type_page(types[i], struct_of[types[i]])
}

# The function that a comment says this one is the same as.
function original_of(name,    text) {
	text = about[name]
	if (!sub(/^(The same|Same|The same function)? ?[Aa]s /, "", text) || !match(text, /^[A-Za-z_]+/))
		return ""
	text = substr(text, 1, RLENGTH)
	return text in prototype ? text : ""
}

function function_page(name,    names, count, i, line, file) {
	count = split(name others[name], names, " ")
	begin_page(name, names, count, about[name])
	line = "Sh SYNOPSIS\n.In " include[name]
	for (i = 1; i <= count; i++)
		line = line "\n" prototype[names[i]]
	emit("." line "\n.Sh DESCRIPTION")

	take_apart(about[name])
	prose(parts["text"])
	list("Fa", parameters, "")
	if (count > 1) {
		emit(".Bl -tag -width Ds")
		for (i = 2; i <= count; i++) {
			emit(".It Fn " names[i])
			line = about[names[i]]
			sub(/\n(Preconditions:|@).*/, "", line)
			prose(line)
		}
		emit(".El")
	}
	if (parts["@pre"] != "") {
		emit(".Ss Preconditions")
		prose(parts["@pre"])
	}
	if (parts["@return"] != "") {
		emit(".Sh RETURN VALUES")
		prose(sentence(parts["@return"]))
	}
	file = "examples/functions/" name ".c"
	if ((getline line <file) > 0) {
		emit(".Sh EXAMPLES\n.Bd -literal")
		do {
			gsub(/\\/, "\\e", line)
			emit(line)
		} while ((getline line <file) > 0)
		emit(".Ed")
	}
	close(file)
	end_page()
}

function type_page(type, struct,    names) {
	names[1] = type
	begin_page(type, names, 1, about[struct])
	emit(".Sh SYNOPSIS\n.In " include[struct] "\n.Bd -literal\n" definition[struct])
	emit("typedef struct " struct " " type ";\n.Ed\n.Sh DESCRIPTION")
	prose(about[struct])
	list("Va", fields[struct], struct ".")
	end_page()
}

function begin_page(name, names, count, comment,    i) {
	page = out "/" name ".3"
	emit(dated "\n.Dt " toupper(name) " 3\n" made_by "\n.Sh NAME")
	for (i in is_own)
		delete is_own[i]
	for (i = 1; i <= count; i++) {
		is_own[names[i]] = 1
		emit(".Nm " names[i] (i < count ? " ," : ""))
	}
	emit(".Nd " summary(comment) "\n.Sh LIBRARY\nlibchatserver\n.Pq Fl lchatserver")
}

function end_page() {
	emit(".Sh SEE ALSO\n.Xr libchatserver 3")
	close(page)
}

# The first sentence, or what stands before its colon where it is long.
function summary(text) {
	sub(/\n\n.*/, "", text)
	gsub(/\n/, " ", text)
	gsub(/`/, "", text)
	gsub(/"/, "\\(dq", text)
	sub(/[.] .*/, "", text)
	sub(/[. ]+$/, "", text)
	if (length(text) > 76)
		sub(/: .*/, "", text)
	return tolower(substr(text, 1, 1)) substr(text, 2)
}

# With the capital and the full stop that the text after a tag often lacks.
function sentence(text) {
	sub(/\n+$/, "", text)
	return toupper(substr(text, 1, 1)) substr(text, 2) (text ~ /[.]$/ ? "" : ".")
}

# Takes a comment apart: into parts, by tag or argument, and the list of the parameters.
function take_apart(comment,    lines, count, i, line, at) {
	for (at in parts)
		delete parts[at]
	parameters = ""
	at = "text"
	count = split(comment, lines, "\n")
	for (i = 1; i <= count; i++) {
		line = lines[i]
		if (sub(/^@param +/, "", line)) {
			at = line
			sub(/ .*/, "", at)
			sub(/^[^ ]+ +/, "", line)
			parameters = parameters " " at
		} else if (sub(/^@returns? +/, "", line)) {
			at = "@return"
		} else if (sub(/^(Preconditions:|@pre)/, "", line)) {
			at = "@pre"
		}
		parts[at] = parts[at] line "\n"
	}
}

# A list of parameters or fields, and what is said of each.
function list(macro, names, prefix,    words, count, i, width) {
	count = split(names, words, " ")
	if (count == 0)
		return
	for (i = 1; i <= count; i++)
		if (length(words[i]) > length(width))
			width = words[i]
	emit(".Bl -tag -width " width)
	for (i = 1; i <= count; i++) {
		emit(".It " macro " " words[i])
		prose(prefix == "" ? parts[words[i]] : about[prefix words[i]])
	}
	emit(".El")
}

# Paragraphs: every sentence and every macro begins a line.
function prose(text,    lines, line_count, words, count, i, j, begun, broken) {
	line_count = split(text, lines, "\n")
	for (i = 1; i <= line_count; i++) {
		count = split(lines[i], words, " ")
		if (count == 0) {
			broken = begun
			continue
		}
		if (broken) {
			flush()
			emit(".Pp")
		}
		begun = 1
		broken = 0
		for (j = 1; j <= count; j++)
			write_word(words[j])
	}
	flush()
}

function write_word(word,    core, after, macro, opened, called) {
	gsub(/`/, "", word)
	gsub(/\\/, "\\e", word)
	sub(/^-/, "\\-", word)
	core = word
	opened = sub(/^\(/, "", core)
	if (match(core, /[.,;:!?)]+$/)) {
		after = substr(core, RSTART)
		core = substr(core, 1, RSTART - 1)
	}
	if ((called = sub(/\($/, "", core)))
		after = substr(after, 2)
	macro = macro_for(core, called)
	if (macro != "") {
		flush()
		gsub(/./, " &", after)
		emit("." (opened ? "Pf ( " : "") macro after)
	} else {
		if (length(row " " word) > 76)
			flush()
		row = row (row == "" ? "" : " ") word
		if (after ~ /[.!?]\)?$/)
			flush()
	}
}

# How a word is set that is a name.
function macro_for(word, called) {
	if (word in is_own)
		return (word in is_type ? "Vt " : "Fn ") word
	if (word in prototype || word in is_type)
		return "Xr " word " 3"
	if ((called || word == "malloc") && word in section)
		return "Xr " word " " section[word]
	if (called)
		return "Fn " word
	if (word == "sd" || word == "len")
		return "Fa " word
	if (word == "errno" || word ~ /_|maxfd|nready/ && word in is_field)
		return "Va " word
	if (word ~ /^E[A-Z][A-Z][A-Z]+$/)
		return "Er " word
	if (word == "NULL" || word ~ /^SIG[A-Z]+$|^[A-Z]+_[A-Z]+$/)
		return "Dv " word
	if (word ~ /^[A-Za-z]+[.]h$/)
		return "In " word
	return ""
}

function flush() {
	if (row != "")
		emit((row ~ /^[.']/ ? "\\&" : "") row)
	row = ""
}

function emit(text) {
	print text >page
}
