/* refuse.h - how a program ends that cannot make sense of its command line. */

#ifndef REFUSE_H
#define REFUSE_H

#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Prints the usage, which has a %s for the program's name, and where to find more, and exits. */
__attribute__((noreturn)) static inline void refer_to_help(const char *usage)
{
	fprintf(stderr, "Try '%s --help'.\n", program_invocation_short_name);
	printf(usage, program_invocation_short_name);
	exit(EXIT_FAILURE);
}

/* Prints what is wrong with the command line, and exits. */
#define REJECT(...) (warnx(__VA_ARGS__), refer_to_help(USAGE))

#endif /* REFUSE_H */
