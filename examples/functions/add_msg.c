/* Prints:
 *   for Anna: nothing
 *   for Bert: 12 bytes
 *   hello
 *   HELLO
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chatServer.h>

int main(void)
{
	char hello[] = "hello\n", heard[BUFFER_SIZE];
	int anna[2], bert[2];
	conn_pool_t pool;
	ssize_t count;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, anna) == -1 ||
	    socketpair(AF_UNIX, SOCK_STREAM, 0, bert) == -1 ||
	    init_pool(&pool) == -1 || add_conn(anna[0], &pool) == -1 ||
	    add_conn(bert[0], &pool) == -1) {
		perror("pool");
		return EXIT_FAILURE;
	}
	if (add_msg(anna[0], hello, sizeof hello - 1, &pool) == -1 ||
	    addMsg(anna[0], hello, sizeof hello - 1, &pool) == -1)
		perror("message");
	printf("for Anna: %s\n",
	       FD_ISSET(anna[0], &pool.write_set) ? "much" : "nothing");
	write_msg(bert[0], &pool);
	count = read(bert[1], heard, sizeof heard);
	printf("for Bert: %d bytes\n%.*s", (int)count, (int)count, heard);
	return EXIT_SUCCESS;
}
