/* claims.h - checks that say where they failed. Nothing here depends on NDEBUG. */

#ifndef CLAIMS_H
#define CLAIMS_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Ends the test unless the condition holds. */
#define CHECK(condition)                                                                 \
	do {                                                                             \
		if (!(condition)) {                                                      \
			fprintf(stderr, "%s:%d: CHECK failed: %s\n", __FILE__, __LINE__, \
			        #condition);                                             \
			exit(EXIT_FAILURE);                                              \
		}                                                                        \
	} while (0)

/* Ends the test unless two whole numbers are equal. */
#define CHECK_EQ(actual, expected)                                                            \
	do {                                                                                  \
		long actual_ = (long)(actual), expected_ = (long)(expected);                  \
		if (actual_ != expected_) {                                                   \
			fprintf(stderr, "%s:%d: %s is %ld and not %ld\n", __FILE__, __LINE__, \
			        #actual, actual_, expected_);                                 \
			exit(EXIT_FAILURE);                                                   \
		}                                                                             \
	} while (0)

/* Ends the test unless the call returns -1 with this errno. */
#define CHECK_FAILS(call, error)        \
	do {                            \
		errno = 0;              \
		CHECK_EQ(call, -1);     \
		CHECK_EQ(errno, error); \
	} while (0)

#endif /* CLAIMS_H */
