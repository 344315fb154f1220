/*
 * check.h - what the test programs have in common: a list of tests, a process for each, and
 * checks that say where they failed. Nothing here depends on NDEBUG.
 *
 * `program` prints the names of its tests, `program NAME` runs one; see runner.rs.
 */

#ifndef CHECK_H
#define CHECK_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How long a test may take before SIGALRM ends it, valgrind included. */
enum { TEST_SECONDS = 120, MOST_TESTS = 64 };

static struct {
	const char *name;
	void (*run)(void);
} all_tests[MOST_TESTS];
static int nr_tests;

/* Defines a test; its name says what is to be true. */
#define TEST(test)                                                        \
	static void test(void);                                           \
	__attribute__((constructor)) static void register_##test(void)    \
	{                                                                 \
		if (nr_tests == MOST_TESTS)                               \
			abort();                                          \
		all_tests[nr_tests].name = #test;                         \
		all_tests[nr_tests++].run = test;                         \
	}                                                                 \
	static void test(void)

/* Ends the test unless the condition holds. */
#define CHECK(condition)                                                           \
	do {                                                                       \
		if (!(condition)) {                                                \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, \
			        #condition);                                       \
			exit(EXIT_FAILURE);                                        \
		}                                                                  \
	} while (0)

/* Ends the test unless two whole numbers are equal. */
#define CHECK_EQ(actual, expected)                                                        \
	do {                                                                              \
		long actual_ = (long)(actual), expected_ = (long)(expected);              \
		if (actual_ != expected_) {                                               \
			fprintf(stderr, "%s:%d: %s is %ld and not %ld\n", __FILE__,       \
			        __LINE__, #actual, actual_, expected_);                   \
			exit(EXIT_FAILURE);                                               \
		}                                                                         \
	} while (0)

/* Ends the test unless the call returns -1 with this errno. */
#define CHECK_FAILS(call, error)                 \
	do {                                     \
		errno = 0;                       \
		CHECK_EQ(call, -1);              \
		CHECK_EQ(errno, error);          \
	} while (0)

int main(int argc, char *argv[])
{
	int at;

	for (at = 0; at < nr_tests; at++) {
		if (argc < 2) {
			puts(all_tests[at].name);
		} else if (strcmp(argv[1], all_tests[at].name) == 0) {
			alarm(TEST_SECONDS);
			all_tests[at].run();
			return EXIT_SUCCESS;
		}
	}
	return argc < 2 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif /* CHECK_H */
