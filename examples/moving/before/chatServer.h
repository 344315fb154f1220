#ifndef CHAT_SERVER_H
#define CHAT_SERVER_H

#include <sys/select.h>

#define BUFFER_SIZE 4096

/* Everyone who is connected, and what select waits for. */
typedef struct conn_pool {
	int maxfd;
	int nready;
	fd_set read_set;
	fd_set ready_read_set;
	fd_set write_set;
	fd_set ready_write_set;
	struct conn *conn_head;
	unsigned int nr_conns;
} conn_pool_t;

/* Something that is still to be written to a client. */
typedef struct msg {
	struct msg *prev;
	struct msg *next;
	char *message;
	int size;
} msg_t;

/* A client. */
typedef struct conn {
	struct conn *prev;
	struct conn *next;
	int fd;
	struct msg *write_msg_head;
	struct msg *write_msg_tail;
} conn_t;

int init_pool(conn_pool_t *pool);
int add_conn(int sd, conn_pool_t *pool);
int remove_conn(int sd, conn_pool_t *pool);
int add_msg(int sd, char *buffer, int len, conn_pool_t *pool);
int write_to_client(int sd, conn_pool_t *pool);

#endif
