/* number.h - reading numbers out of text. */

#ifndef NUMBER_H
#define NUMBER_H

#include <stdbool.h>
#include <stdint.h>

/* The whole number that the text is, in digits and nothing else; false when it is none from
 * `least` to `most`. */
bool parse_number(const char *text, uintmax_t least, uintmax_t most, uintmax_t *number);

#endif /* NUMBER_H */
