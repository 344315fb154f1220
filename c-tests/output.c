/* Only remove_conn prints, and only write_msg sends. */

#include "chatServerExt.h"
#include "room.h"

TEST(no_call_but_remove_conn_prints_and_none_but_write_msg_sends)
{
	struct client clients[3];
	struct capture out, err;
	conn_pool_t pool;
	int failures = 0;

	open_room(clients, 3, &pool);
	close(clients[2].peer);
	out = capture(stdout);
	err = capture(stderr);
	failures += add_conn(clients[0].sd, &pool) + add_conn(-1, &pool);
	failures += add_conn(FD_SETSIZE, &pool) + add_conn(clients[0].sd, NULL);
	failures += add_msg(clients[0].sd, "hello", 5, &pool);
	failures += add_msg(clients[0].sd, "hello", -1, &pool) + addMsg(-1, "hello", 5, &pool);
	failures += chat_feed(clients[0].sd, "hello\nworld", 11, &pool);
	failures += chat_feed(clients[0].sd, NULL, 0, &pool) + chat_feed(-1, "hello\n", 6, &pool);
	CHECK(!is_readable(clients[1].peer));
	failures += write_msg(clients[1].sd, &pool) + write_msg(clients[2].sd, &pool);
	failures += write_msg(-1, &pool) + write_msg(clients[1].sd, NULL);
	check_printed(err, "");
	check_printed(out, "");
	CHECK_EQ(failures, -10);
	check_receives(clients[1].peer, "hellohello\nworld", 16);
	leave_all(clients, 2, &pool);
	CHECK_EQ(remove_conn(clients[2].sd, &pool), 0);
}
