/* Whoever is first in the list gets the copy that was made first. Written to in that order, a pass
 * frees memory upwards. Downwards, the heap would end with what is freed each time, and glibc would
 * give it back to the kernel message by message.
 *
 * The linker leads the library's calls to the function below.
 * link: -Wl,--wrap=malloc
 */

#include "room.h"

enum { RECIPIENTS = 5, ROOM = 64 };

static void *blocks[ROOM];
static int count;

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
	CHECK(count < ROOM);
	return blocks[count++] = __real_malloc(size);
}

/* As what a block was allocated, counted from the start. */
static int number_of(const void *block)
{
	int at = 0;

	while (at < count && blocks[at] != block)
		at++;
	CHECK(at < count);
	return at;
}

TEST(copies_are_handed_out_in_the_order_they_are_made)
{
	struct client clients[RECIPIENTS];
	int said, at, last;
	conn_pool_t pool;

	open_room(clients, RECIPIENTS, &pool);
	for (said = 0; said < 2; said++) {
		count = 0;
		CHECK_EQ(add_msg(NOBODY, "hello", 5, &pool), 0);
		for (at = 0, last = -1; at < RECIPIENTS; at++) {
			const struct msg *msg = conn_of(clients[at].sd, &pool)->write_msg_tail;
			int text = number_of(msg->message), node = number_of(msg);

			CHECK(text > last && node > last);
			last = text > node ? text : node;
		}
	}
	leave_all(clients, RECIPIENTS, &pool);
}
