/*
 * The memory of a queue: twice the limit at most, however short the messages are, and in few blocks
 * where they come by way of a corked pool, so that they are freed fast.
 *
 * The linker redirects the library's calls to the functions below.
 * link: -Wl,--wrap=malloc,--wrap=realloc,--wrap=free
 */

#include <malloc.h>

#include "chatServerExt.h"
#include "room.h"

enum { LIMIT = 256 << 10, JOINED = 16 << 10 };

static conn_pool_t pool;

/* What all blocks take, with the allocator's own word in each. */
static size_t held;

static size_t cost(void *block)
{
	return block == NULL ? 0 : malloc_usable_size(block) + sizeof(size_t);
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
	void *block = __real_malloc(size);

	held += cost(block);
	return block;
}

void *__real_realloc(void *block, size_t size);
void *__wrap_realloc(void *block, size_t size);
void *__wrap_realloc(void *block, size_t size)
{
	held -= cost(block);
	block = __real_realloc(block, size);
	held += cost(block);
	return block;
}

void __real_free(void *block);
void __wrap_free(void *block);
void __wrap_free(void *block)
{
	held -= cost(block);
	__real_free(block);
}

static chat_conn_info_t info_of(struct client client)
{
	chat_conn_info_t info;

	CHECK_EQ(chat_get_info(client.sd, &pool, &info), 0);
	return info;
}

/* A client whose socket is full, so that all that is said waits in its queue. */
static struct client join_stopped(void)
{
	struct client client = join(&pool);
	char text[1 << 12] = { 0 };

	while (send(client.sd, text, sizeof text, MSG_DONTWAIT) > 0)
		;
	return client;
}

static void say(int len, bool corked)
{
	char text[1 << 10] = { 0 };

	if (corked)
		CHECK_EQ(chat_cork(&pool), 0);
	CHECK_EQ(add_msg(OUTSIDER, text, len, &pool), 0);
	if (corked)
		CHECK_EQ(chat_uncork(&pool), 0);
}

/* What a queue of messages of this length takes at most before the reader is cut off, with so many
 * bytes of chat_tell before each. */
static size_t check_bounded(int len, bool corked, int told)
{
	static const char text[2048];
	size_t before, most = 0, messages = 0, bytes = 0;
	struct client client;

	CHECK_EQ(init_pool(&pool), 0);
	chat_set_max_queue(LIMIT);
	client = join_stopped();
	say(1, true); /* the batch's own memory comes first */
	before = held;
	while (info_of(client).cut_off == 0) {
		int burst;

		for (burst = 0; burst < (told > 0 ? 4 : 64); burst++) {
			CHECK_EQ(chat_tell(client.sd, text, told, &pool), 0);
			say(len, corked);
		}
		if (info_of(client).cut_off != 0)
			break;
		most = held - before;
		bytes = info_of(client).queued_bytes;
		messages = info_of(client).queued_msgs;
	}
	CHECK(most <= 2 * LIMIT);
	CHECK_EQ(held < before, true);
	if (corked && told == 0) {
		CHECK(bytes > LIMIT - 64 * 1024);
		CHECK(messages <= 3 + 2 * LIMIT / JOINED);
	}
	leave(client, &pool);
	return most;
}

TEST(a_queue_of_short_messages_takes_twice_the_limit_at_most)
{
	static const int lengths[] = { 1, 2, 24, 25, 40, 63, 64, 65, 72, 100 };
	size_t at;

	for (at = 0; at < sizeof lengths / sizeof lengths[0]; at++) {
		check_bounded(lengths[at], false, 0);
		check_bounded(lengths[at], true, 3);
		check_bounded(lengths[at], true, 1025);
	}
}

TEST(short_messages_of_a_corked_pool_take_what_they_hold)
{
	static const int lengths[] = { 1, 2, 40, 64, 100, 1000 };
	size_t at;

	for (at = 0; at < sizeof lengths / sizeof lengths[0]; at++)
		CHECK(check_bounded(lengths[at], true, 0) < LIMIT + LIMIT / 8);
}

/* A program holds pointers to the first message while write_msg is partly through. */
TEST(the_first_message_stays_as_it_is)
{
	struct client client;
	const msg_t *head;
	const char *start;

	CHECK_EQ(init_pool(&pool), 0);
	client = join_stopped();
	say(10, true);
	head = conn_of(client.sd, &pool)->write_msg_head;
	start = head->message;
	say(20, true);
	CHECK_EQ(info_of(client).queued_msgs, 2);
	say(30, true);
	CHECK_EQ(info_of(client).queued_msgs, 2);
	CHECK_EQ(head->next->size, 50);
	CHECK(conn_of(client.sd, &pool)->write_msg_head == head);
	CHECK(head->message == start);
	CHECK_EQ(head->size, 10);
	/* Without the batch every message is one of its own. */
	say(40, false);
	CHECK_EQ(info_of(client).queued_msgs, 3);
	CHECK_EQ(info_of(client).queued_bytes, 100);
	check_queue_sound(conn_of(client.sd, &pool));
	leave(client, &pool);
}

/* Every length on both sides of the border, in an order in which a wrong byte shows. */
TEST(joined_messages_arrive_as_they_were_said)
{
	enum { SIZE = 150000 };
	static char text[SIZE];
	struct client client;
	int at, len;

	open_room(&client, 1, &pool);
	shrink_send_buffer(client.sd);
	fill(text, SIZE, 0);
	for (at = 0, len = 1; at < SIZE; at += len, len = len * 7 % 9973) {
		if (len > SIZE - at)
			len = SIZE - at;
		CHECK_EQ(chat_cork(&pool), 0);
		CHECK_EQ(add_msg(OUTSIDER, text + at, len, &pool), 0);
		CHECK_EQ(chat_uncork(&pool), 0);
		check_queue_sound(conn_of(client.sd, &pool));
	}
	check_stream(client, SIZE, &pool);
	leave(client, &pool);
}
