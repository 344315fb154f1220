/* chat_set_max_queue: a slow reader is cut off at the limit. chat_get_info: what a program can
 * ask. */

#include "chatServerExt.h"
#include "room.h"

/* More than any socket pair holds. */
enum { MUCH = 4 << 20, DEFAULT_LIMIT = 8 << 20 };

static conn_pool_t pool;

static void say(int len)
{
	char *text = malloc((size_t)len);

	fill(text, (size_t)len, 0);
	CHECK_EQ(add_msg(1000, text, len, &pool), 0);
	free(text);
}

static chat_conn_info_t info_of(struct client client)
{
	chat_conn_info_t info;

	CHECK_EQ(chat_get_info(client.sd, &pool, &info), 0);
	return info;
}

static void check_is_cut_off(struct client client)
{
	char byte;

	CHECK_EQ(info_of(client).cut_off, ENOBUFS);
	CHECK_EQ(info_of(client).queued_bytes, 0);
	CHECK(!FD_ISSET(client.sd, &pool.write_set));
	CHECK_EQ(read(client.sd, &byte, 1), 0);
}

static void check_in_good_standing(struct client client)
{
	CHECK_EQ(info_of(client).cut_off, 0);
}

TEST(who_is_over_the_default_limit_is_cut_off)
{
	struct client clients[2];
	int sent = 0;

	open_room(clients, 2, &pool);
	while (sent <= DEFAULT_LIMIT + MUCH) {
		say(1 << 20);
		sent += 1 << 20;
		while (FD_ISSET(clients[0].sd, &pool.write_set)) {
			char sink[1 << 16];

			CHECK_EQ(write_msg(clients[0].sd, &pool), 0);
			read_available(clients[0].peer, sink, sizeof sink);
		}
	}
	check_in_good_standing(clients[0]);
	check_is_cut_off(clients[1]);
	leave_all(clients, 2, &pool);
}

TEST(exactly_the_limit_may_wait_and_not_a_byte_more)
{
	struct client client;

	open_room(&client, 1, &pool);
	shrink_send_buffer(client.sd);
	chat_set_max_queue(100000);
	say(MUCH); /* any length may be queued first */
	CHECK_EQ(write_msg(client.sd, &pool), 0);
	CHECK(info_of(client).queued_bytes > 100000);
	chat_set_max_queue(info_of(client).queued_bytes + 64);
	say(64);
	check_in_good_standing(client);
	say(1);
	check_is_cut_off(client);
	leave(client, &pool);
}

TEST(a_short_message_counts_for_64_bytes)
{
	struct client client;
	size_t waiting;

	open_room(&client, 1, &pool);
	shrink_send_buffer(client.sd);
	say(MUCH);
	CHECK_EQ(write_msg(client.sd, &pool), 0);
	waiting = info_of(client).queued_bytes;
	chat_set_max_queue(waiting + 128);
	say(1);
	say(1);
	CHECK_EQ(info_of(client).queued_bytes, waiting + 2);
	CHECK_EQ(info_of(client).queued_msgs, 3);
	check_in_good_standing(client);
	say(1);
	check_is_cut_off(client);
	leave(client, &pool);
}

TEST(without_a_limit_everything_waits)
{
	struct client client;
	int count;

	open_room(&client, 1, &pool);
	chat_set_max_queue(0);
	for (count = 0; count < 20; count++)
		say(1 << 20);
	CHECK_EQ(info_of(client).queued_bytes, 20 << 20);
	CHECK_EQ(info_of(client).queued_msgs, 20);
	check_in_good_standing(client);
	leave(client, &pool);
}

TEST(who_is_cut_off_has_heard_a_prefix_without_a_gap)
{
	struct client client;
	char *received = malloc(MUCH);
	size_t length;

	open_room(&client, 1, &pool);
	chat_set_max_queue(1 << 20);
	say(MUCH);
	CHECK_EQ(write_msg(client.sd, &pool), 0);
	say(1);
	check_is_cut_off(client);
	length = read_available(client.peer, received, MUCH);
	CHECK(length > 0);
	check_pattern(received, length, 0);
	CHECK(is_readable(client.peer)); /* end of file */
	CHECK_EQ(read(client.peer, received, 1), 0);
	leave(client, &pool);
	free(received);
}

TEST(who_is_cut_off_gets_nothing_more)
{
	struct client client;

	open_room(&client, 1, &pool);
	shrink_send_buffer(client.sd);
	chat_set_max_queue(1000);
	say(MUCH);
	CHECK_EQ(write_msg(client.sd, &pool), 0);
	say(1);
	check_is_cut_off(client);
	say(10);
	CHECK_EQ(chat_tell(client.sd, "hello", 5, &pool), 0);
	CHECK_EQ(queued(client.sd, &pool), 0);
	CHECK(!FD_ISSET(client.sd, &pool.write_set));
	leave(client, &pool);
}

/* A program may take messages out by itself; the library must not go on counting them. */
TEST(what_the_program_has_taken_out_is_not_counted)
{
	struct client client;
	int count;

	open_room(&client, 1, &pool);
	chat_set_max_queue(100000);
	for (count = 0; count < 50; count++) {
		conn_t *conn = conn_of(client.sd, &pool);
		msg_t *first, *second;

		/* Two always stay, so that the library never sees the queue empty. */
		say(30000);
		first = conn->write_msg_head;
		second = first->next;
		if (second != NULL && second->next != NULL) {
			conn->write_msg_head = second;
			second->prev = NULL;
			free(first->message);
			free(first);
		}
	}
	check_in_good_standing(client);
	leave(client, &pool);
}

/* To make room the library sends and frees queued messages; the new text may point into one. */
TEST(what_waits_may_be_said_again_where_there_is_no_room)
{
	struct client clients[3];
	const msg_t *waiting;

	open_room(clients, 3, &pool);
	chat_set_max_queue(100);
	say(90);
	waiting = conn_of(clients[0].sd, &pool)->write_msg_head;
	CHECK_EQ(add_msg(1000, waiting->message, waiting->size, &pool), 0);
	CHECK_EQ(chat_tell(clients[1].sd, conn_of(clients[1].sd, &pool)->write_msg_head->message,
	                   90, &pool),
	         0);
	check_in_good_standing(clients[0]);
	leave_all(clients, 3, &pool);
}

TEST(nobody_is_cut_off_while_the_kernel_takes_more)
{
	struct client client;
	char text[1000];
	size_t said = 0;

	open_room(&client, 1, &pool);
	chat_set_max_queue(10000);
	memset(text, 'x', sizeof text);
	/* The program does not write, and the kernel has room for all of this. */
	for (said = 0; said < 50000; said += sizeof text)
		CHECK_EQ(add_msg(1000, text, sizeof text, &pool), 0);
	check_in_good_standing(client);
	CHECK_EQ(write_msg(client.sd, &pool), 0);
	CHECK_EQ(info_of(client).queued_bytes, 0);
	leave(client, &pool);
}

TEST(sent_bytes_counts_what_the_kernel_has_taken)
{
	struct client client;
	char text[100] = { 0 };
	chat_conn_info_t info;

	open_room(&client, 1, &pool);
	CHECK_EQ(add_msg(1000, text, 100, &pool), 0);
	CHECK_EQ(info_of(client).sent_bytes, 0);
	CHECK_EQ(write_msg(client.sd, &pool), 0);
	CHECK_EQ(info_of(client).sent_bytes, 100);
	/* A corked pool sends its batch without write_msg. */
	CHECK_EQ(chat_cork(&pool), 0);
	CHECK_EQ(add_msg(1000, text, 10, &pool), 0);
	CHECK_EQ(info_of(client).sent_bytes, 100);
	CHECK_EQ(chat_uncork(&pool), 0);
	CHECK_EQ(info_of(client).sent_bytes, 110);
	/* Of what is sent in part, the sent part counts. */
	say(MUCH);
	CHECK_EQ(write_msg(client.sd, &pool), 0);
	info = info_of(client);
	CHECK(info.sent_bytes > 110 && info.queued_bytes > 0);
	CHECK_EQ(info.sent_bytes + info.queued_bytes, 110 + MUCH);
	leave(client, &pool);
}

TEST(chat_get_info_refuses_arguments_that_make_no_sense)
{
	struct client client;
	chat_conn_info_t info;

	open_room(&client, 1, &pool);
	CHECK_FAILS(chat_get_info(client.sd, NULL, &info), EINVAL);
	CHECK_FAILS(chat_get_info(client.sd, &pool, NULL), EINVAL);
	CHECK_FAILS(chat_get_info(client.sd + 1, &pool, &info), ENOENT);
	leave(client, &pool);
}
