/* number.h - numbers on a command line. */

#ifndef NUMBER_H
#define NUMBER_H

#include <stdbool.h>
#include <stdint.h>

/* Parses a whole number from `least` to `most`. It is of digits alone, or has one of `units`, in
 * either case, behind them, each of which is 1,024 times the one before. */
bool parse_number(const char *text, const char *units, uintmax_t least, uintmax_t most,
                  uintmax_t *number);

#endif /* NUMBER_H */
