# Prints the lines that are wider than 100 columns, and fails where there is one. Rows of a Markdown
# table may be wider, and lines that hold one URL and no other word than a comment's beginning.
# To be run with LC_ALL=C: the bytes are counted that begin a character.

FILENAME ~ /\.md$/ && /^\|/ { next }
NF <= 2 && $NF ~ /https?:\/\// { next }

{
	line = $0
	gsub(/[\200-\277]/, "", line)
	width = 0
	count = split(line, cells, "\t")
	for (at = 1; at < count; at++)
		width += length(cells[at]) + 8 - length(cells[at]) % 8
	width += length(cells[count])
}

width > 100 {
	printf "%s:%d: %d columns\n", FILENAME, FNR, width
	wide = 1
}

END { exit wide }
