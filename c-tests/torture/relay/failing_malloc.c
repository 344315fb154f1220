/*
 * failing_malloc.c - stands before the C library's functions for memory in the whole process: in
 * the relay, in libmosquitto, and in the C library itself.
 *
 * The environment variable FAILING has two numbers, as in "17 1": which allocation is the first to
 * fail, and how many fail. Each of the first few is told in the log. Without it none fails.
 */

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* These failures are told. */
enum { TOLD = 3 };

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);

static unsigned long allocations, first, count;

__attribute__((constructor)) static void prepare(void)
{
	const char *failing = getenv("FAILING");

	if (failing != NULL && sscanf(failing, "%lu %lu", &first, &count) != 2)
		abort();
	allocations = 0;
}

static bool fails(void)
{
	static char told[] = "(an allocation fails)\n";

	allocations++;
	if (first == 0 || allocations < first || allocations - first >= count)
		return false;
	if (allocations - first < TOLD && write(STDERR_FILENO, told, sizeof told - 1) == -1)
		abort();
	errno = ENOMEM;
	return true;
}

void *malloc(size_t size)
{
	return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t many, size_t size)
{
	return fails() ? NULL : __libc_calloc(many, size);
}

void *realloc(void *block, size_t size)
{
	return fails() ? NULL : __libc_realloc(block, size);
}
