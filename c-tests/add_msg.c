/* add_msg and addMsg: which connections get a copy of which bytes. */

#include <sys/mman.h>

#include "room.h"

typedef int say(int sd, char *buffer, int len, conn_pool_t *pool);

/* The function under both names; tests of their own cover the difference. */
static say *const say_names[] = { add_msg, addMsg };

/* Two pages; access beyond the first ends the process. */
static char *page_with_an_end(void)
{
	long size = sysconf(_SC_PAGESIZE);
	char *pages = mmap(NULL, (size_t)size * 2, PROT_READ | PROT_WRITE,
	                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(pages != MAP_FAILED);
	CHECK_EQ(mprotect(pages + size, (size_t)size, PROT_NONE), 0);
	return pages;
}

static void free_pages(char *pages)
{
	CHECK_EQ(munmap(pages, (size_t)sysconf(_SC_PAGESIZE) * 2), 0);
}

/* Checks that exactly these bytes are the message. */
static void check_message(const msg_t *msg, const char *bytes, int size)
{
	CHECK(msg != NULL);
	CHECK_EQ(msg->size, size);
	CHECK_EQ(memcmp(msg->message, bytes, (size_t)size), 0);
}

static void check_refused(int sd, char *buffer, int len, conn_pool_t *pool)
{
	struct snapshot before = take_snapshot(pool);
	int at;

	for (at = 0; at < 2; at++) {
		CHECK_FAILS(say_names[at](sd, buffer, len, pool), EINVAL);
		CHECK(is_unchanged(&before, pool));
	}
}

TEST(add_msg_refuses_null)
{
	char text[] = "hello";

	CHECK_FAILS(add_msg(3, text, 5, NULL), EINVAL);
	CHECK_FAILS(addMsg(3, text, 5, NULL), EINVAL);
	CHECK_FAILS(add_msg(3, text, 0, NULL), EINVAL);
}

TEST_WITH_CLIENTS(add_msg_refuses_a_negative_sender_a_negative_length_and_no_buffer, 3)
{
	char text[] = "hello";

	CHECK_EQ(add_msg(clients[0].sd, text, 5, pool), 0);
	check_refused(-1, text, 5, pool);
	check_refused(INT_MIN, text, 5, pool);
	check_refused(clients[0].sd, text, -1, pool);
	check_refused(clients[0].sd, text, INT_MIN, pool);
	check_refused(clients[0].sd, NULL, 5, pool);
	check_refused(clients[0].sd, NULL, -1, pool);
}

TEST_WITH_CLIENTS(add_msg_queues_nothing_for_length_0, 3)
{
	struct snapshot before;
	char text[] = "hello";
	int at;

	before = take_snapshot(pool);
	for (at = 0; at < 2; at++) {
		CHECK_EQ(say_names[at](clients[0].sd, text, 0, pool), 0);
		CHECK_EQ(say_names[at](clients[0].sd, NULL, 0, pool), 0);
	}
	CHECK(is_unchanged(&before, pool));
}

TEST_WITH_CLIENTS(add_msg_does_not_look_at_the_buffer_for_a_length_of_0_or_less, 2)
{
	long size = sysconf(_SC_PAGESIZE);
	char *pages = page_with_an_end();
	char *forbidden = pages + size;

	CHECK_EQ(add_msg(clients[0].sd, forbidden, 0, pool), 0);
	CHECK_EQ(addMsg(clients[0].sd, forbidden, 0, pool), 0);
	check_refused(clients[0].sd, forbidden, -1, pool);
	check_refused(clients[0].sd, forbidden, INT_MIN, pool);
	free_pages(pages);
}

TEST_WITH_CLIENTS(add_msg_looks_at_len_bytes_and_no_more, 2)
{
	long size = sysconf(_SC_PAGESIZE);
	char *pages = page_with_an_end();
	int len;

	memset(pages, 'x', (size_t)size);
	for (len = 1; len <= 64; len++) {
		CHECK_EQ(add_msg(clients[0].sd, pages + size - len, len, pool), 0);
		CHECK_EQ(addMsg(clients[0].sd, pages + size - len, len, pool), 0);
	}
	CHECK_EQ(queued(clients[1].sd, pool), 2 * 64);
	check_message(conn_of(clients[1].sd, pool)->write_msg_tail->prev, pages + size - 64, 64);
	free_pages(pages);
}

TEST_WITH_CLIENTS(add_msg_neither_changes_nor_keeps_the_buffer, 2)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	char *pages = page_with_an_end();
	msg_t *msg;

	memcpy(pages, "hello", 5);
	CHECK_EQ(mprotect(pages, size, PROT_READ), 0);
	CHECK_EQ(add_msg(clients[0].sd, pages, 5, pool), 0);
	CHECK_EQ(addMsg(clients[0].sd, pages, 5, pool), 0);
	free_pages(pages);
	msg = conn_of(clients[1].sd, pool)->write_msg_head;
	check_message(msg, "hello", 5);
	check_message(msg->next, "HELLO", 5);
}

TEST_WITH_CLIENTS(add_msg_takes_any_bytes, 2)
{
	char text[512];
	int at;

	for (at = 0; at < 512; at++)
		text[at] = (char)at;
	CHECK_EQ(add_msg(clients[0].sd, text, 512, pool), 0);
	check_message(conn_of(clients[1].sd, pool)->write_msg_head, text, 512);
	CHECK_EQ(write_msg(clients[1].sd, pool), 0);
	check_receives(clients[1].peer, text, 512);
	for (at = 0; at < 512; at++)
		CHECK_EQ(text[at], (char)at);
}

TEST_WITH_CLIENTS(addMsg_capitalises_ascii_letters_of_its_copy_and_nothing_else, 2)
{
	char text[256], capitals[256];
	int at;

	for (at = 0; at < 256; at++) {
		text[at] = (char)at;
		capitals[at] = (char)(at >= 'a' && at <= 'z' ? at - 'a' + 'A' : at);
	}
	CHECK_EQ(addMsg(clients[0].sd, text, 256, pool), 0);
	check_message(conn_of(clients[1].sd, pool)->write_msg_head, capitals, 256);
	for (at = 0; at < 256; at++)
		CHECK_EQ(text[at], (char)at);
}

TEST_WITH_CLIENTS(add_msg_queues_a_copy_of_its_own_for_everyone_but_the_sender, 4)
{
	enum { COUNT = 4 };
	msg_t *msgs[COUNT];
	int at, other;

	CHECK_EQ(add_msg(clients[1].sd, "hello", 5, pool), 0);
	check_sound(pool);
	for (at = 0; at < COUNT; at++) {
		CHECK_EQ(queued(clients[at].sd, pool), at == 1 ? 0 : 1);
		CHECK_EQ(FD_ISSET(clients[at].sd, &pool->write_set) != 0, at != 1);
		msgs[at] = conn_of(clients[at].sd, pool)->write_msg_head;
		if (at == 1)
			continue;
		check_message(msgs[at], "hello", 5);
		for (other = 0; other < at; other++) {
			CHECK(msgs[at] != msgs[other]);
			CHECK(other == 1 || msgs[at]->message != msgs[other]->message);
		}
	}
}

TEST_WITH_POOL(add_msg_takes_a_sender_who_is_not_in_the_pool)
{
	struct client clients[2], stranger = connect_client();

	CHECK_EQ(add_msg(stranger.sd, "alone", 5, pool), 0);
	join_all(clients, 2, pool);
	CHECK_EQ(add_msg(stranger.sd, "hello", 5, pool), 0);
	CHECK_EQ(add_msg(INT_MAX, "again", 5, pool), 0);
	CHECK_EQ(queued(clients[0].sd, pool), 2);
	CHECK_EQ(queued(clients[1].sd, pool), 2);
	close(stranger.sd);
	close(stranger.peer);
	leave_all(clients, 2, pool);
}

TEST_WITH_POOL(add_msg_to_nobody_succeeds)
{
	struct snapshot before;
	struct client client;

	CHECK_EQ(add_msg(5, "hello", 5, pool), 0);
	client = join(pool);
	before = take_snapshot(pool);
	CHECK_EQ(add_msg(client.sd, "hello", 5, pool), 0);
	CHECK(is_unchanged(&before, pool));
	leave(client, pool);
}

TEST_WITH_POOL(add_msg_passes_over_listeners)
{
	int listener = listen_on_loopback(), late = bind_to_loopback();
	struct client clients[2];
	int round;

	CHECK_EQ(add_conn(listener, pool), 0);
	clients[0] = join(pool);
	CHECK_EQ(add_conn(late, pool), 0);
	clients[1] = join(pool);
	CHECK_EQ(listen(late, 1), 0);
	for (round = 1; round <= 2; round++) {
		CHECK_EQ(add_msg(clients[0].sd, "hello", 5, pool), 0);
		CHECK_EQ(queued(listener, pool), 0);
		CHECK_EQ(queued(late, pool), 0);
		CHECK(!FD_ISSET(listener, &pool->write_set));
		CHECK(!FD_ISSET(late, &pool->write_set));
		CHECK_EQ(queued(clients[1].sd, pool), round);
	}
	CHECK_EQ(remove_conn(listener, pool), 0);
	CHECK_EQ(remove_conn(late, pool), 0);
	leave_all(clients, 2, pool);
}

TEST_WITH_CLIENTS(add_msg_sets_the_write_bit_every_time, 2)
{
	int round;

	for (round = 0; round < 3; round++) {
		CHECK_EQ(add_msg(clients[0].sd, "hello", 5, pool), 0);
		CHECK(FD_ISSET(clients[1].sd, &pool->write_set));
		FD_CLR(clients[1].sd, &pool->write_set);
	}
}

TEST_WITH_CLIENTS(add_msg_changes_the_queues_and_write_set_and_no_other_field, 3)
{
	conn_pool_t expected;
	int round;

	for (round = 0; round < 2; round++) {
		fill_caller_fields(pool, round == 0 ? 0x00 : 0xFF);
		FD_ZERO(&pool->write_set);
		FD_SET(900, &pool->write_set);
		pool->maxfd = 700;
		memcpy(&expected, pool, sizeof expected);
		CHECK_EQ(add_msg(clients[0].sd, "hello", 5, pool), 0);
		FD_SET(clients[1].sd, &expected.write_set);
		FD_SET(clients[2].sd, &expected.write_set);
		CHECK_EQ(memcmp(pool, &expected, sizeof expected), 0);
	}
}

/* A program that empties a queue by itself may leave a tail that points to a freed message. */
TEST_WITH_CLIENTS(add_msg_does_not_believe_the_tail_of_an_empty_queue, 2)
{
	conn_t *conn;

	conn = conn_of(clients[1].sd, pool);
	CHECK_EQ(add_msg(clients[0].sd, "stale", 5, pool), 0);
	free_msg(conn->write_msg_head);
	conn->write_msg_head = NULL;
	CHECK_EQ(add_msg(clients[0].sd, "hello", 5, pool), 0);
	check_sound(pool);
	CHECK(conn->write_msg_head == conn->write_msg_tail);
	check_message(conn->write_msg_head, "hello", 5);
}
