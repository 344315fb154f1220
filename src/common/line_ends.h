/* line_ends.h - counting lines. */

#ifndef LINE_ENDS_H
#define LINE_ENDS_H

#include <stddef.h>
#include <stdint.h>

/* Returns how many newlines are in the text. */
uint64_t count_line_ends(const char *text, size_t length);

#endif /* LINE_ENDS_H */
