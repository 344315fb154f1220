/* write_msg on a connection that has been cut off. */

#include "chatServerExt.h"
#include "room.h"

enum { MUCH = 1 << 20 };

static conn_pool_t pool;

/* Lets the queue of the only connection grow until it is cut off. */
static void cut_off(int sd)
{
	static char text[MUCH];

	chat_set_max_queue(1000);
	CHECK_EQ(add_msg(OUTSIDER, text, MUCH, &pool), 0);
	CHECK_EQ(write_msg(sd, &pool), 0);
	CHECK_EQ(add_msg(OUTSIDER, text, 1, &pool), 0);
}

static void check_is_cut_off(int sd)
{
	const conn_t *conn = conn_of(sd, &pool);
	chat_conn_info_t info;

	CHECK_EQ(chat_get_info(sd, &pool, &info), 0);
	CHECK_EQ(info.cut_off, ENOBUFS);
	CHECK_FAILS(write_msg(sd, &pool), ENOBUFS);
	CHECK(conn_of(sd, &pool) == conn);
	CHECK(conn->write_msg_head == NULL);
	CHECK(!FD_ISSET(sd, &pool.write_set));
	check_sound(&pool);
}

TEST(writing_to_who_is_cut_off_is_an_error_each_time)
{
	struct client client;

	open_room(&client, 1, &pool);
	cut_off(client.sd);
	check_is_cut_off(client.sd);
	CHECK_FAILS(write_to_client(client.sd, &pool), ENOBUFS);
	CHECK_FAILS(writeToClient(client.sd, &pool), ENOBUFS);
	/* A program may rebuild the set; select must not spin for that. */
	FD_SET(client.sd, &pool.write_set);
	check_is_cut_off(client.sd);
	/* Nothing is queued any more. */
	CHECK_EQ(add_msg(OUTSIDER, "hello", 5, &pool), 0);
	check_is_cut_off(client.sd);
	leave(client, &pool);
}

/* A pipe cannot be shut down. */
TEST(the_reader_of_a_pipe_that_is_cut_off_finds_the_end_after_the_removal)
{
	char sink[1 << 12];
	int ends[2];

	init_pool(&pool);
	CHECK_EQ(pipe(ends), 0);
	CHECK_EQ(add_conn(ends[1], &pool), 0);
	cut_off(ends[1]);
	check_is_cut_off(ends[1]);
	while (is_readable(ends[0]))
		CHECK(read(ends[0], sink, sizeof sink) > 0);
	CHECK_EQ(remove_conn(ends[1], &pool), 0);
	CHECK_EQ(read(ends[0], sink, sizeof sink), 0);
	close(ends[0]);
}
