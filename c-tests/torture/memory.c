/* memory.c - see memory.h. The linker redirects all allocations of the program to this file.
 *
 * link: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=free
 */

#include "memory.h"

#include <stdatomic.h>
#include <unistd.h>

#include "../claims.h"

static _Thread_local struct {
	bool inside, for_ever;
	int failing, asked_for;
} library;

static atomic_long blocks, failures;

void memory_enter(int failing, bool for_ever)
{
	library.inside = true;
	library.for_ever = for_ever;
	library.failing = failing;
	library.asked_for = 0;
}

int memory_leave(void)
{
	library.inside = false;
	return library.asked_for;
}

long memory_end(void)
{
	if (blocks != 0) {
		fprintf(stderr, "%ld blocks have not been given back\n", (long)blocks);
		_exit(EXIT_FAILURE);
	}
	return failures;
}

static bool fails(void)
{
	if (!library.inside)
		return false;
	library.asked_for++;
	if (library.failing == 0 || library.asked_for < library.failing ||
	    (library.asked_for > library.failing && !library.for_ever))
		return false;
	failures++;
	errno = ENOMEM;
	return true;
}

static void *counted(void *block)
{
	blocks += block != NULL;
	return block;
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : counted(__real_malloc(size));
}

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : counted(__real_calloc(count, size));
}

void *__real_realloc(void *block, size_t size);
void *__wrap_realloc(void *block, size_t size);
void *__wrap_realloc(void *block, size_t size)
{
	if (block == NULL)
		return __wrap_malloc(size);
	return fails() ? NULL : __real_realloc(block, size);
}

void __real_free(void *block);
void __wrap_free(void *block);
void __wrap_free(void *block)
{
	blocks -= block != NULL;
	__real_free(block);
}
