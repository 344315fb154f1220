/*
 * check.h - the main() of every test program: registers tests and runs one by name.
 *
 * `program` prints the names of its tests, `program NAME` runs one; see runner.rs.
 */

#ifndef CHECK_H
#define CHECK_H

#include <string.h>
#include <unistd.h>

#include "claims.h"

/* SIGALRM ends a test after this long, which is enough under valgrind on a busy machine. */
enum { TEST_SECONDS = 600, MOST_TESTS = 64 };

static struct {
	const char *name;
	void (*run)(void);
} all_tests[MOST_TESTS];
static int nr_tests;

/* Defines a test, named for the behaviour that it checks. */
#define TEST(test)                                                     \
	static void test(void);                                        \
	__attribute__((constructor)) static void register_##test(void) \
	{                                                              \
		if (nr_tests == MOST_TESTS)                            \
			abort();                                       \
		all_tests[nr_tests].name = #test;                      \
		all_tests[nr_tests++].run = test;                      \
	}                                                              \
	static void test(void)

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
