/* chat_set_quiet: whether remove_conn prints its line. */

#include "chatServerExt.h"
#include "room.h"

TEST(quiet_is_a_removal_without_a_line)
{
	struct client clients[2];
	struct capture printed;
	conn_pool_t pool;
	char line[64];

	open_room(clients, 2, &pool);
	chat_set_quiet(1);
	printed = capture(stdout);
	leave(clients[0], &pool);
	chat_set_quiet(0);
	snprintf(line, sizeof line, "removing connection with sd %d \n", clients[1].sd);
	leave(clients[1], &pool);
	check_printed(printed, line);
}
