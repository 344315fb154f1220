/* number.h - parsing numbers. */

#ifndef NUMBER_H
#define NUMBER_H

#include <stdbool.h>
#include <stdint.h>

/* Parses a whole number, digits only. Returns false unless it is one from `least` to `most`. */
bool parse_number(const char *text, uintmax_t least, uintmax_t most, uintmax_t *number);

#endif /* NUMBER_H */
