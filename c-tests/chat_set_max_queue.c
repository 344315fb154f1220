/* chat_set_max_queue: a slow reader is cut off at the limit. chat_get_info: what a program can
 * ask. */

#include "chatServerExt.h"
#include "room.h"

/* More than any socket pair holds. */
enum { MUCH = 4 << 20, DEFAULT_LIMIT = 8 << 20 };

static chat_conn_info_t info_of(struct client client, conn_pool_t *pool)
{
	chat_conn_info_t info;

	CHECK_EQ(chat_get_info(client.sd, pool, &info), 0);
	return info;
}

static void check_is_cut_off(struct client client, conn_pool_t *pool)
{
	char byte;

	CHECK_EQ(info_of(client, pool).cut_off, ENOBUFS);
	CHECK_EQ(info_of(client, pool).queued_bytes, 0);
	CHECK(!FD_ISSET(client.sd, &pool->write_set));
	CHECK_EQ(read(client.sd, &byte, 1), 0);
}

static void check_in_good_standing(struct client client, conn_pool_t *pool)
{
	CHECK_EQ(info_of(client, pool).cut_off, 0);
}

TEST_WITH_CLIENT(a_reader_at_the_default_limit_stays)
{
	int said;

	for (said = 0; said < DEFAULT_LIMIT; said += 1 << 20)
		queue_pattern(0, 1 << 20, pool);
	CHECK_EQ(info_of(client, pool).queued_bytes, DEFAULT_LIMIT);
	check_in_good_standing(client, pool);
}

TEST_WITH_CLIENTS(a_reader_over_the_default_limit_is_cut_off, 2)
{
	int sent = 0;

	while (sent <= DEFAULT_LIMIT + MUCH) {
		queue_pattern(0, 1 << 20, pool);
		sent += 1 << 20;
		while (FD_ISSET(clients[0].sd, &pool->write_set)) {
			char sink[1 << 16];

			CHECK_EQ(write_msg(clients[0].sd, pool), 0);
			read_available(clients[0].peer, sink, sizeof sink);
		}
	}
	check_in_good_standing(clients[0], pool);
	check_is_cut_off(clients[1], pool);
}

TEST_WITH_CLIENT(exactly_the_limit_may_wait_and_not_a_byte_more)
{
	shrink_send_buffer(client.sd);
	chat_set_max_queue(100000);
	queue_pattern(0, MUCH, pool); /* any length may be queued first */
	CHECK_EQ(write_msg(client.sd, pool), 0);
	CHECK(info_of(client, pool).queued_bytes > 100000);
	chat_set_max_queue(info_of(client, pool).queued_bytes + 64);
	queue_pattern(0, 64, pool);
	check_in_good_standing(client, pool);
	queue_pattern(0, 1, pool);
	check_is_cut_off(client, pool);
}

TEST_WITH_CLIENT(a_short_message_counts_for_64_bytes)
{
	size_t waiting;

	shrink_send_buffer(client.sd);
	queue_pattern(0, MUCH, pool);
	CHECK_EQ(write_msg(client.sd, pool), 0);
	waiting = info_of(client, pool).queued_bytes;
	chat_set_max_queue(waiting + 128);
	queue_pattern(0, 1, pool);
	queue_pattern(0, 1, pool);
	CHECK_EQ(info_of(client, pool).queued_bytes, waiting + 2);
	CHECK_EQ(info_of(client, pool).queued_msgs, 3);
	check_in_good_standing(client, pool);
	queue_pattern(0, 1, pool);
	check_is_cut_off(client, pool);
}

TEST_WITH_CLIENT(a_long_message_counts_for_its_length)
{
	shrink_send_buffer(client.sd);
	queue_pattern(0, MUCH, pool);
	CHECK_EQ(write_msg(client.sd, pool), 0);
	chat_set_max_queue(info_of(client, pool).queued_bytes + 1000);
	queue_pattern(0, 1001, pool);
	check_is_cut_off(client, pool);
}

TEST_WITH_CLIENT(without_a_limit_everything_waits)
{
	int count;

	chat_set_max_queue(0);
	for (count = 0; count < 20; count++)
		queue_pattern(0, 1 << 20, pool);
	CHECK_EQ(info_of(client, pool).queued_bytes, 20 << 20);
	CHECK_EQ(info_of(client, pool).queued_msgs, 20);
	check_in_good_standing(client, pool);
}

TEST_WITH_CLIENT(a_reader_that_is_cut_off_has_a_prefix_without_a_gap)
{
	char *received = malloc(MUCH);
	size_t length;

	chat_set_max_queue(1 << 20);
	queue_pattern(0, MUCH, pool);
	CHECK_EQ(write_msg(client.sd, pool), 0);
	queue_pattern(0, 1, pool);
	check_is_cut_off(client, pool);
	length = read_available(client.peer, received, MUCH);
	CHECK(length > 0);
	check_pattern(received, length, 0);
	CHECK(is_readable(client.peer)); /* end of file */
	CHECK_EQ(read(client.peer, received, 1), 0);
	free(received);
}

TEST_WITH_CLIENT(a_reader_that_is_cut_off_gets_nothing_more)
{
	shrink_send_buffer(client.sd);
	chat_set_max_queue(1000);
	queue_pattern(0, MUCH, pool);
	CHECK_EQ(write_msg(client.sd, pool), 0);
	queue_pattern(0, 1, pool);
	check_is_cut_off(client, pool);
	queue_pattern(0, 10, pool);
	CHECK_EQ(chat_tell(client.sd, "hello", 5, pool), 0);
	CHECK_EQ(queued(client.sd, pool), 0);
	CHECK(!FD_ISSET(client.sd, &pool->write_set));
}

/* A program may take messages out by itself; the library must not go on counting them. */
TEST_WITH_CLIENT(what_the_program_has_taken_out_is_not_counted)
{
	int count;

	chat_set_max_queue(100000);
	for (count = 0; count < 50; count++) {
		/* Two always stay, so that the library never sees the queue empty. */
		queue_pattern(0, 30000, pool);
		if (queued(client.sd, pool) > 2)
			free_msg(pop(conn_of(client.sd, pool)));
	}
	check_in_good_standing(client, pool);
}

/* To make room the library sends and frees queued messages; the new text may point into one. */
TEST_WITH_CLIENTS(what_waits_may_be_said_again_where_there_is_no_room, 3)
{
	const msg_t *waiting;

	chat_set_max_queue(100);
	queue_pattern(0, 90, pool);
	waiting = conn_of(clients[0].sd, pool)->write_msg_head;
	CHECK_EQ(add_msg(1000, waiting->message, waiting->size, pool), 0);
	CHECK_EQ(chat_tell(clients[1].sd, conn_of(clients[1].sd, pool)->write_msg_head->message, 90,
	                   pool),
	         0);
	check_in_good_standing(clients[0], pool);
}

TEST_WITH_CLIENT(nobody_is_cut_off_while_the_kernel_takes_more)
{
	char text[1000];
	size_t said = 0;

	chat_set_max_queue(10000);
	memset(text, 'x', sizeof text);
	/* The program does not write, and the kernel has room for all of this. */
	for (said = 0; said < 50000; said += sizeof text)
		CHECK_EQ(add_msg(1000, text, sizeof text, pool), 0);
	check_in_good_standing(client, pool);
	CHECK_EQ(write_msg(client.sd, pool), 0);
	CHECK_EQ(info_of(client, pool).queued_bytes, 0);
}

TEST_WITH_CLIENT(sent_bytes_counts_what_the_kernel_has_taken)
{
	char text[100] = { 0 };
	chat_conn_info_t info;

	CHECK_EQ(add_msg(1000, text, 100, pool), 0);
	CHECK_EQ(info_of(client, pool).sent_bytes, 0);
	CHECK_EQ(write_msg(client.sd, pool), 0);
	CHECK_EQ(info_of(client, pool).sent_bytes, 100);
	/* A corked pool sends its batch without write_msg. */
	CHECK_EQ(chat_cork(pool), 0);
	CHECK_EQ(add_msg(1000, text, 10, pool), 0);
	CHECK_EQ(info_of(client, pool).sent_bytes, 100);
	CHECK_EQ(chat_uncork(pool), 0);
	CHECK_EQ(info_of(client, pool).sent_bytes, 110);
	/* Of what is sent in part, the sent part counts. */
	queue_pattern(0, MUCH, pool);
	CHECK_EQ(write_msg(client.sd, pool), 0);
	info = info_of(client, pool);
	CHECK(info.sent_bytes > 110 && info.queued_bytes > 0);
	CHECK_EQ(info.sent_bytes + info.queued_bytes, 110 + MUCH);
}

TEST_WITH_CLIENT(chat_get_info_refuses_arguments_that_make_no_sense)
{
	chat_conn_info_t info;

	CHECK_FAILS(chat_get_info(client.sd, NULL, &info), EINVAL);
	CHECK_FAILS(chat_get_info(client.sd, pool, NULL), EINVAL);
	CHECK_FAILS(chat_get_info(client.sd + 1, pool, &info), ENOENT);
}
