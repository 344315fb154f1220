/* Global names that programs use for themselves, so the library must not export them. */

#include "room.h"

int array[3] = { 1, 2, 3 };
int max = 4, conn = 5, msg = 6;
char end[] = "end";
conn_pool_t *pool;

/* If the library had these names, too, it would call this or write to the variables above. */
int updateMaxFd(void);
int updateMaxFd(void)
{
	abort();
}

TEST(the_library_works_beside_globals_of_common_names)
{
	struct client clients[3];

	pool = malloc(sizeof *pool);
	open_room(clients, 3, pool);
	CHECK_EQ(add_msg(clients[0].sd, end, 3, pool), 0);
	CHECK_EQ(write_msg(clients[1].sd, pool), 0);
	check_receives(clients[1].peer, "end", 3);
	leave_all(clients, 3, pool);
	free(pool);
	CHECK_EQ(array[0] + array[1] + array[2] + max + conn + msg, 21);
	CHECK_EQ(strcmp(end, "end"), 0);
}
