/* The batch's memory is kept from pass to pass, but not for a room that has become empty: of a server
 * with one socket that listens, that stays in the pool, so that no last connection ever goes.
 *
 * The linker leads the library's calls to the functions below.
 * link: -Wl,--wrap=realloc -Wl,--wrap=free
 */

#include "chatServerExt.h"
#include "room.h"

/* The batch's text, the one thing that grows here. */
static void *text;

void *__real_realloc(void *block, size_t size);
void *__wrap_realloc(void *block, size_t size);
void *__wrap_realloc(void *block, size_t size)
{
	return text = __real_realloc(block, size);
}

void __real_free(void *block);
void __wrap_free(void *block);
void __wrap_free(void *block)
{
	if (block == text)
		text = NULL;
	__real_free(block);
}

TEST(a_batch_keeps_its_memory_while_two_are_left_and_no_longer)
{
	struct client clients[3];
	conn_pool_t pool;

	open_room(clients, 3, &pool);
	CHECK_EQ(chat_cork(&pool), 0);
	CHECK_EQ(add_msg(NOBODY, "hello", 5, &pool), 0);
	leave(clients[0], &pool);
	CHECK_EQ(chat_uncork(&pool), 0);
	CHECK(text != NULL);
	CHECK_EQ(chat_cork(&pool), 0);
	leave(clients[1], &pool);
	CHECK(text != NULL);
	CHECK_EQ(chat_uncork(&pool), 0);
	CHECK(text == NULL);
	leave(clients[2], &pool);
}
