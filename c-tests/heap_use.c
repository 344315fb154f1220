/* What the library asks of the heap beyond correctness: an order that glibc can use, and memory
 * given back when nobody needs it.
 *
 * The linker redirects the library's calls to the functions below.
 * link: -Wl,--wrap=malloc,--wrap=realloc,--wrap=free
 */

#include "chatServerExt.h"
#include "room.h"

enum { RECIPIENTS = 5, MAX_BLOCKS = 64 };

/* The blocks that malloc returned, in order. */
static void *blocks[MAX_BLOCKS];
static int nr_blocks;

/* The batch's text, the only block that the library grows here. */
static void *batch_text;

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
	CHECK(nr_blocks < MAX_BLOCKS);
	return blocks[nr_blocks++] = __real_malloc(size);
}

void *__real_realloc(void *block, size_t size);
void *__wrap_realloc(void *block, size_t size);
void *__wrap_realloc(void *block, size_t size)
{
	return batch_text = __real_realloc(block, size);
}

void __real_free(void *block);
void __wrap_free(void *block);
void __wrap_free(void *block)
{
	if (block == batch_text)
		batch_text = NULL;
	__real_free(block);
}

static int position_of(const void *block)
{
	int at = 0;

	while (at < nr_blocks && blocks[at] != block)
		at++;
	CHECK(at < nr_blocks);
	return at;
}

/* A program that writes in the list's order then frees memory upwards. Downwards, the heap would
 * end with what is freed each time, and glibc would return it to the kernel message by message. */
TEST_WITH_CLIENTS(copies_are_queued_in_the_order_they_are_made, RECIPIENTS)
{
	int round, at, last;

	for (round = 0; round < 2; round++) {
		nr_blocks = 0;
		CHECK_EQ(add_msg(OUTSIDER, "hello", 5, pool), 0);
		for (at = 0, last = -1; at < RECIPIENTS; at++) {
			const msg_t *msg = conn_of(clients[at].sd, pool)->write_msg_tail;
			int text = position_of(msg->message), node = position_of(msg);

			CHECK(text > last && node > last);
			last = text > node ? text : node;
		}
	}
}

/* In a pool that holds its own listening sockets the last connection never leaves, so the batch
 * must not wait for that. */
TEST_WITH_POOL(a_batch_keeps_its_memory_while_two_are_left_and_no_longer)
{
	int listeners[] = { listen_on_loopback(), listen_on_loopback() };
	struct client clients[3];

	CHECK_EQ(add_conn(listeners[0], pool), 0);
	CHECK_EQ(add_conn(listeners[1], pool), 0);
	join_all(clients, 3, pool);
	CHECK_EQ(chat_cork(pool), 0);
	CHECK_EQ(add_msg(OUTSIDER, "hello", 5, pool), 0);
	leave(clients[0], pool);
	CHECK_EQ(chat_uncork(pool), 0);
	CHECK(batch_text != NULL);
	CHECK_EQ(chat_cork(pool), 0);
	leave(clients[1], pool);
	CHECK(batch_text != NULL);
	CHECK_EQ(chat_uncork(pool), 0);
	CHECK(batch_text == NULL);
	leave(clients[2], pool);
	CHECK_EQ(remove_conn(listeners[0], pool), 0);
	CHECK_EQ(remove_conn(listeners[1], pool), 0);
}
