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

TEST(add_msg_refuses_a_negative_sender_a_negative_length_and_no_buffer)
{
	struct client clients[3];
	char text[] = "hello";
	conn_pool_t pool;

	open_room(clients, 3, &pool);
	CHECK_EQ(add_msg(clients[0].sd, text, 5, &pool), 0);
	check_refused(-1, text, 5, &pool);
	check_refused(INT_MIN, text, 5, &pool);
	check_refused(clients[0].sd, text, -1, &pool);
	check_refused(clients[0].sd, text, INT_MIN, &pool);
	check_refused(clients[0].sd, NULL, 5, &pool);
	check_refused(clients[0].sd, NULL, -1, &pool);
	leave_all(clients, 3, &pool);
}

TEST(add_msg_queues_nothing_for_length_0)
{
	struct client clients[3];
	struct snapshot before;
	char text[] = "hello";
	conn_pool_t pool;
	int at;

	open_room(clients, 3, &pool);
	before = take_snapshot(&pool);
	for (at = 0; at < 2; at++) {
		CHECK_EQ(say_names[at](clients[0].sd, text, 0, &pool), 0);
		CHECK_EQ(say_names[at](clients[0].sd, NULL, 0, &pool), 0);
	}
	CHECK(is_unchanged(&before, &pool));
	leave_all(clients, 3, &pool);
}

TEST(add_msg_does_not_look_at_the_buffer_for_a_length_of_0_or_less)
{
	long size = sysconf(_SC_PAGESIZE);
	struct client clients[2];
	char *pages = page_with_an_end();
	char *forbidden = pages + size;
	conn_pool_t pool;

	open_room(clients, 2, &pool);
	CHECK_EQ(add_msg(clients[0].sd, forbidden, 0, &pool), 0);
	CHECK_EQ(addMsg(clients[0].sd, forbidden, 0, &pool), 0);
	check_refused(clients[0].sd, forbidden, -1, &pool);
	check_refused(clients[0].sd, forbidden, INT_MIN, &pool);
	leave_all(clients, 2, &pool);
	free_pages(pages);
}

TEST(add_msg_looks_at_len_bytes_and_no_more)
{
	long size = sysconf(_SC_PAGESIZE);
	char *pages = page_with_an_end();
	struct client clients[2];
	conn_pool_t pool;
	int len;

	open_room(clients, 2, &pool);
	memset(pages, 'x', (size_t)size);
	for (len = 1; len <= 64; len++) {
		CHECK_EQ(add_msg(clients[0].sd, pages + size - len, len, &pool), 0);
		CHECK_EQ(addMsg(clients[0].sd, pages + size - len, len, &pool), 0);
	}
	CHECK_EQ(queued(clients[1].sd, &pool), 2 * 64);
	check_message(conn_of(clients[1].sd, &pool)->write_msg_tail->prev, pages + size - 64, 64);
	leave_all(clients, 2, &pool);
	free_pages(pages);
}

TEST(add_msg_neither_changes_nor_keeps_the_buffer)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	char *pages = page_with_an_end();
	struct client clients[2];
	conn_pool_t pool;
	msg_t *msg;

	open_room(clients, 2, &pool);
	memcpy(pages, "hello", 5);
	CHECK_EQ(mprotect(pages, size, PROT_READ), 0);
	CHECK_EQ(add_msg(clients[0].sd, pages, 5, &pool), 0);
	CHECK_EQ(addMsg(clients[0].sd, pages, 5, &pool), 0);
	free_pages(pages);
	msg = conn_of(clients[1].sd, &pool)->write_msg_head;
	check_message(msg, "hello", 5);
	check_message(msg->next, "HELLO", 5);
	leave_all(clients, 2, &pool);
}

TEST(add_msg_takes_any_bytes)
{
	struct client clients[2];
	char text[512];
	conn_pool_t pool;
	int at;

	for (at = 0; at < 512; at++)
		text[at] = (char)at;
	open_room(clients, 2, &pool);
	CHECK_EQ(add_msg(clients[0].sd, text, 512, &pool), 0);
	check_message(conn_of(clients[1].sd, &pool)->write_msg_head, text, 512);
	CHECK_EQ(write_msg(clients[1].sd, &pool), 0);
	check_receives(clients[1].peer, text, 512);
	for (at = 0; at < 512; at++)
		CHECK_EQ(text[at], (char)at);
	leave_all(clients, 2, &pool);
}

TEST(addMsg_capitalises_ascii_letters_of_its_copy_and_nothing_else)
{
	struct client clients[2];
	char text[256], capitals[256];
	conn_pool_t pool;
	int at;

	for (at = 0; at < 256; at++) {
		text[at] = (char)at;
		capitals[at] = (char)(at >= 'a' && at <= 'z' ? at - 'a' + 'A' : at);
	}
	open_room(clients, 2, &pool);
	CHECK_EQ(addMsg(clients[0].sd, text, 256, &pool), 0);
	check_message(conn_of(clients[1].sd, &pool)->write_msg_head, capitals, 256);
	for (at = 0; at < 256; at++)
		CHECK_EQ(text[at], (char)at);
	leave_all(clients, 2, &pool);
}

TEST(add_msg_queues_a_copy_of_its_own_for_everyone_but_the_sender)
{
	enum { COUNT = 4 };
	struct client clients[COUNT];
	conn_pool_t pool;
	msg_t *msgs[COUNT];
	int at, other;

	open_room(clients, COUNT, &pool);
	CHECK_EQ(add_msg(clients[1].sd, "hello", 5, &pool), 0);
	check_sound(&pool);
	for (at = 0; at < COUNT; at++) {
		CHECK_EQ(queued(clients[at].sd, &pool), at == 1 ? 0 : 1);
		CHECK_EQ(FD_ISSET(clients[at].sd, &pool.write_set) != 0, at != 1);
		msgs[at] = conn_of(clients[at].sd, &pool)->write_msg_head;
		if (at == 1)
			continue;
		check_message(msgs[at], "hello", 5);
		for (other = 0; other < at; other++) {
			CHECK(msgs[at] != msgs[other]);
			CHECK(other == 1 || msgs[at]->message != msgs[other]->message);
		}
	}
	leave_all(clients, COUNT, &pool);
}

TEST(add_msg_takes_a_sender_who_is_not_in_the_pool)
{
	struct client clients[2], stranger = connect_client();
	conn_pool_t pool;

	init_pool(&pool);
	CHECK_EQ(add_msg(stranger.sd, "alone", 5, &pool), 0);
	join_all(clients, 2, &pool);
	CHECK_EQ(add_msg(stranger.sd, "hello", 5, &pool), 0);
	CHECK_EQ(add_msg(INT_MAX, "again", 5, &pool), 0);
	CHECK_EQ(queued(clients[0].sd, &pool), 2);
	CHECK_EQ(queued(clients[1].sd, &pool), 2);
	close(stranger.sd);
	close(stranger.peer);
	leave_all(clients, 2, &pool);
}

TEST(add_msg_to_nobody_succeeds)
{
	struct snapshot before;
	struct client client;
	conn_pool_t pool;

	init_pool(&pool);
	CHECK_EQ(add_msg(5, "hello", 5, &pool), 0);
	client = join(&pool);
	before = take_snapshot(&pool);
	CHECK_EQ(add_msg(client.sd, "hello", 5, &pool), 0);
	CHECK(is_unchanged(&before, &pool));
	leave(client, &pool);
}

TEST(add_msg_passes_over_listeners)
{
	int listener = listen_on_loopback(), late = bind_to_loopback();
	struct client clients[2];
	conn_pool_t pool;
	int round;

	init_pool(&pool);
	CHECK_EQ(add_conn(listener, &pool), 0);
	clients[0] = join(&pool);
	CHECK_EQ(add_conn(late, &pool), 0);
	clients[1] = join(&pool);
	CHECK_EQ(listen(late, 1), 0);
	for (round = 1; round <= 2; round++) {
		CHECK_EQ(add_msg(clients[0].sd, "hello", 5, &pool), 0);
		CHECK_EQ(queued(listener, &pool), 0);
		CHECK_EQ(queued(late, &pool), 0);
		CHECK(!FD_ISSET(listener, &pool.write_set));
		CHECK(!FD_ISSET(late, &pool.write_set));
		CHECK_EQ(queued(clients[1].sd, &pool), round);
	}
	CHECK_EQ(remove_conn(listener, &pool), 0);
	CHECK_EQ(remove_conn(late, &pool), 0);
	leave_all(clients, 2, &pool);
}

TEST(add_msg_sets_the_write_bit_every_time)
{
	struct client clients[2];
	conn_pool_t pool;
	int round;

	open_room(clients, 2, &pool);
	for (round = 0; round < 3; round++) {
		CHECK_EQ(add_msg(clients[0].sd, "hello", 5, &pool), 0);
		CHECK(FD_ISSET(clients[1].sd, &pool.write_set));
		FD_CLR(clients[1].sd, &pool.write_set);
	}
	leave_all(clients, 2, &pool);
}

TEST(add_msg_leaves_the_senders_own_bit_alone)
{
	struct client clients[3];
	conn_pool_t pool;

	open_room(clients, 3, &pool);
	CHECK_EQ(add_msg(clients[0].sd, "hello", 5, &pool), 0);
	CHECK(!FD_ISSET(clients[0].sd, &pool.write_set));
	/* The second client has a backlog and now sends. */
	CHECK_EQ(add_msg(clients[1].sd, "hello", 5, &pool), 0);
	CHECK(FD_ISSET(clients[1].sd, &pool.write_set));
	CHECK_EQ(queued(clients[1].sd, &pool), 1);
	leave_all(clients, 3, &pool);
}

static void check_changes_no_other_field(unsigned char bits)
{
	struct client clients[3];
	conn_pool_t pool, expected;

	open_room(clients, 3, &pool);
	fill_caller_fields(&pool, bits);
	pool.maxfd = 700;
	FD_SET(900, &pool.write_set);
	memcpy(&expected, &pool, sizeof pool);
	CHECK_EQ(add_msg(clients[0].sd, "hello", 5, &pool), 0);
	FD_SET(clients[1].sd, &expected.write_set);
	FD_SET(clients[2].sd, &expected.write_set);
	CHECK_EQ(memcmp(&pool, &expected, sizeof pool), 0);
	leave_all(clients, 3, &pool);
}

TEST(add_msg_changes_the_queues_and_write_set_and_no_other_field)
{
	check_changes_no_other_field(0x00);
	check_changes_no_other_field(0xFF);
}

TEST(messages_are_queued_first_in_first_out)
{
	struct client clients[2];
	conn_pool_t pool;
	const msg_t *msg;
	char digit;

	open_room(clients, 2, &pool);
	for (digit = '0'; digit <= '9'; digit++) {
		CHECK_EQ(add_msg(clients[0].sd, &digit, 1, &pool), 0);
		check_sound(&pool);
	}
	digit = '0';
	for (msg = conn_of(clients[1].sd, &pool)->write_msg_head; msg != NULL; msg = msg->next)
		check_message(msg, &(char){ digit++ }, 1);
	CHECK_EQ(digit, '9' + 1);
	leave_all(clients, 2, &pool);
}

/* A program that empties a queue by itself may leave a tail that points to a freed message. */
TEST(add_msg_does_not_believe_the_tail_of_an_empty_queue)
{
	struct client clients[2];
	conn_pool_t pool;
	conn_t *conn;

	open_room(clients, 2, &pool);
	conn = conn_of(clients[1].sd, &pool);
	CHECK_EQ(add_msg(clients[0].sd, "stale", 5, &pool), 0);
	free(conn->write_msg_head->message);
	free(conn->write_msg_head);
	conn->write_msg_head = NULL;
	CHECK_EQ(add_msg(clients[0].sd, "hello", 5, &pool), 0);
	check_sound(&pool);
	CHECK(conn->write_msg_head == conn->write_msg_tail);
	check_message(conn->write_msg_head, "hello", 5);
	leave_all(clients, 2, &pool);
}
