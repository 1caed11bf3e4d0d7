// SPDX-License-Identifier: GPL-2.0-only
/*
 * vhost_queue: one queue of a network device in the hands of the kernel's vhost-net.
 *
 * Its doorbell (KVM's ioeventfd) and its call (KVM's irqfd) are given to the kernel as they are, so no
 * packet, doorbell or interrupt passes through this process. Where a call is no eventfd (INTx: a status
 * bit has to be set before the line) the kernel signals one of ours, and the loop passes it on. A
 * masked MSI-X vector needs nothing: its eventfd counts, and whoever unmasks it delivers.
 *
 * Attached, a queue is served. The kernel watches the tap from then on, and refuses a queue whose
 * tap queue takes no part; so that comes when the driver is ready, as far as pairs are in use.
 *
 * Runs on: loop; open and close on main.
 */
#include "virtio/vhost_queue.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lkvm/log.h"
#include "virtio/net.h"

static struct vhost *kernel_of(const struct vhost_queue *q)
{
	return &q->vn->kernel[q->index / 2];
}

static unsigned ring_of(const struct vhost_queue *q)
{
	return q->index % 2;
}

static int call_fd(const struct vhost_queue *q)
{
	if (q->call.fd >= 0)
		return q->call.fd;
	return q->call.fn ? q->relay.fd : -1;
}

/* Buffers that were there before were not rung for, or the ring was not heard: it looks once. */
void vhost_queue_attach(struct vhost_queue *q)
{
	struct net *net = q->vn->net;
	int err;

	if (!q->started || q->attached || !net->dev.live || net->dev.failed ||
	    q->index / 2 >= q->vn->used)
		return;
	err = vhost_ring_attach(kernel_of(q), ring_of(q), netif_fd(net->nif, q->index / 2));
	if (err) {
		vdev_fail(&net->dev, "queue %u: vhost-net refuses it: %s", q->index, strerror(-err));
		return;
	}
	q->attached = true;
	eventfd_write(q->kick_fd, 1);
}

void vhost_queue_detach(struct vhost_queue *q)
{
	int err = q->attached ? vhost_ring_detach(kernel_of(q), ring_of(q)) : 0;

	if (err)
		log_err(q->vn->net->dev.name, "queue %u: vhost-net doesn't let go of it: %s",
			q->index, strerror(-err));
	q->attached = false;
}

int vhost_queue_start(struct vhost_queue *q, const struct virtq_conf *conf, int kick_fd,
		      struct irq call)
{
	int err;

	if (q->started)
		return -EBUSY;
	q->kick_fd = kick_fd;
	q->call = call;
	err = vhost_ring_start(kernel_of(q), ring_of(q), q->vn->net->dev.mem, conf, kick_fd,
			       call_fd(q), q->broken.fd);
	if (err)
		return err;
	q->started = true;
	vhost_queue_attach(q);
	return 0;
}

/* The relay's last word came before the stop and is for nobody any more. */
void vhost_queue_stop(struct vhost_queue *q)
{
	eventfd_t n;
	int taken;

	if (!q->started)
		return;
	vhost_queue_detach(q);
	taken = vhost_ring_stop(kernel_of(q), ring_of(q));
	log_dbg(q->vn->net->dev.name, "queue %u: vhost-net stopped at buffer %d", q->index, taken);
	q->started = false;
	q->call = IRQ_NONE;
	eventfd_read(q->relay.fd, &n);
}

void vhost_queue_call(struct vhost_queue *q, struct irq call)
{
	if (!q->started)
		return;
	q->call = call;
	vhost_ring_call(kernel_of(q), ring_of(q), call_fd(q));
}

/* --- what the kernel says --------------------------------------------------------------------- */

/* Whatever the call has become by now, this one was for it. */
static void relayed(void *opaque, uint32_t events)
{
	struct vhost_queue *q = opaque;
	eventfd_t n;

	(void)events;
	if (!eventfd_read(q->relay.fd, &n))
		irq_raise(&q->call);
}

static void broken(void *opaque, uint32_t events)
{
	struct vhost_queue *q = opaque;
	struct vhost_net *vn = q->vn;
	eventfd_t n;

	(void)events;
	if (eventfd_read(q->broken.fd, &n) || !q->started)
		return;
	vdev_fail(&vn->net->dev, "queue %u: vhost-net found it broken", q->index);
	for (unsigned i = 0; i < 2 * vn->pairs; i++)
		vhost_queue_detach(&vn->queue[i]);
}

/* --- life ------------------------------------------------------------------------------------- */

static int open_event(struct vhost_queue *q, struct loop_fd *w, void (*ready)(void *, uint32_t))
{
	*w = (struct loop_fd){ .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .ready = ready,
			       .opaque = q };
	return w->fd < 0 ? -errno : 0;
}

int vhost_queue_open(struct vhost_queue *q, struct vhost_net *vn, unsigned n, const char *name)
{
	int err;

	q->vn = vn;
	q->index = n;
	q->call = IRQ_NONE;
	err = open_event(q, &q->relay, relayed);
	if (!err)
		err = open_event(q, &q->broken, broken);
	if (err)
		log_err(name, "queue %u: cannot make its eventfds: %s", n, strerror(-err));
	return err;
}

static void close_event(struct vhost_queue *q, struct loop_fd *w)
{
	if (w->added)
		loop_del(q->vn->net->dev.loop, w);
	if (w->fd >= 0)
		close(w->fd);
}

void vhost_queue_close(struct vhost_queue *q)
{
	close_event(q, &q->relay);
	close_event(q, &q->broken);
}

int vhost_queue_watch(struct vhost_queue *q)
{
	struct loop *loop = q->vn->net->dev.loop;
	int err = loop_add(loop, &q->relay, EPOLLIN);

	return err ? err : loop_add(loop, &q->broken, EPOLLIN);
}
