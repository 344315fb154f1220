/* Memory runs out while a batch is delivered: nothing of it is lost, and nothing is sent twice.
 * That each call alone fails cleanly is shown by torture/.
 *
 * The linker redirects the library's calls to the functions below.
 * link: -Wl,--wrap=malloc,--wrap=realloc
 */

#include <sys/mman.h>

#include "chatServerExt.h"
#include "room.h"

enum { RECIPIENTS = 5, SIZE = 100000 };

static bool out_of_memory;

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
	return out_of_memory ? NULL : __real_malloc(size);
}

void *__real_realloc(void *block, size_t size);
void *__wrap_realloc(void *block, size_t size);
void *__wrap_realloc(void *block, size_t size)
{
	return out_of_memory ? NULL : __real_realloc(block, size);
}

/* The kernel takes what precedes the recipient's own words and a part of what follows them. */
TEST(chat_uncork_goes_on_behind_what_the_recipient_has_had)
{
	static char sent[SIZE], received[SIZE];
	struct client sender, recipient;
	conn_pool_t pool;
	size_t size;

	init_pool(&pool);
	sender = join(&pool);
	recipient = join(&pool);
	shrink_send_buffer(recipient.sd);
	fill(sent, SIZE, 0);
	CHECK_EQ(chat_cork(&pool), 0);
	CHECK_EQ(add_msg(sender.sd, sent, 10, &pool), 0);
	CHECK_EQ(add_msg(recipient.sd, "own words", 9, &pool), 0);
	CHECK_EQ(add_msg(sender.sd, sent + 10, SIZE - 10, &pool), 0);
	out_of_memory = true;
	CHECK_FAILS(chat_uncork(&pool), ENOMEM);
	out_of_memory = false;
	size = read_available(recipient.peer, received, SIZE);
	CHECK(size > 10 && size < SIZE);
	CHECK_EQ(chat_uncork(&pool), 0);
	while (size < SIZE) {
		CHECK_EQ(write_msg(recipient.sd, &pool), 0);
		size += read_available(recipient.peer, received + size, SIZE - size);
	}
	check_pattern(received, SIZE, 0);
	check_receives(recipient.peer, "", 0);
	check_receives(sender.peer, "own words", 9);
	leave(sender, &pool);
	leave(recipient, &pool);
}

/* The batch is delivered to make room, and is not delivered again. */
TEST(a_message_that_no_batch_has_room_for_loses_nothing_of_the_batch)
{
	struct client clients[RECIPIENTS + 1];
	conn_pool_t pool;
	char *endless = mmap(NULL, INT_MAX, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
	                     -1, 0);
	int at;

	CHECK(endless != MAP_FAILED);
	open_room(clients, RECIPIENTS + 1, &pool);
	CHECK_EQ(chat_cork(&pool), 0);
	CHECK_EQ(add_msg(clients[0].sd, "hello", 5, &pool), 0);
	out_of_memory = true;
	CHECK_FAILS(add_msg(OUTSIDER, endless, INT_MAX, &pool), ENOMEM);
	out_of_memory = false;
	for (at = 1; at <= RECIPIENTS; at++)
		check_receives(clients[at].peer, "hello", 5);
	CHECK_EQ(chat_uncork(&pool), 0);
	for (at = 0; at <= RECIPIENTS; at++)
		check_receives(clients[at].peer, "", 0);
	CHECK_EQ(munmap(endless, INT_MAX), 0);
	leave_all(clients, RECIPIENTS + 1, &pool);
}
