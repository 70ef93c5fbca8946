import java.io.IOException;
import java.net.ServerSocket;
import java.net.Socket;
import org.jpos.iso.BcdPrefixer;
import org.jpos.iso.IFB_BINARY;
import org.jpos.iso.IFB_BITMAP;
import org.jpos.iso.IFB_LLLCHAR;
import org.jpos.iso.IFB_LLNUM;
import org.jpos.iso.IFB_NUMERIC;
import org.jpos.iso.IF_CHAR;
import org.jpos.iso.ISOBasePackager;
import org.jpos.iso.ISOBinaryFieldPackager;
import org.jpos.iso.ISOException;
import org.jpos.iso.ISOFieldPackager;
import org.jpos.iso.ISOMsg;
import org.jpos.iso.ISOServer;
import org.jpos.iso.LiteralBinaryInterpreter;
import org.jpos.iso.ServerChannel;
import org.jpos.iso.channel.NACChannel;
import org.jpos.util.ThreadPool;

/**
 * An approving listener of jPOS for bench_switch.py: decode a 0200, answer 00, encode. No log.
 *
 * java -cp 'DIRECTORY/*' JposListener.java prints its port; it ends when its input does.
 */
public final class JposListener {
    /** What an answer copies from its request: the same for all listeners of the bench. */
    private static final int[] ECHOED = {2, 3, 4, 7, 11, 12, 13, 24, 32, 37, 41, 42, 49};
    private static final int THREADS = 1_100;

    private JposListener() {}

    public static void main(String[] arguments) throws Exception {
        ServerChannel channel = new NACChannel(new Packed(), new byte[5]);
        ISOServer server = new ISOServer(freePort(), channel, new ThreadPool(1, THREADS));
        server.addISORequestListener((source, request) -> {
            try {
                source.send(answer(request));
            } catch (IOException | ISOException gone) {
                // The client has hung up: the bench counts what it heard.
                return false;
            }
            return true;
        });
        Thread serving = new Thread(server);
        serving.setDaemon(true);
        serving.start();
        while (!isListening(server.getPort())) {
            Thread.sleep(10);
        }
        System.out.println(server.getPort());
        while (System.in.read() >= 0) {
            continue;
        }
        System.exit(0);
    }

    private static int freePort() throws IOException {
        try (ServerSocket probe = new ServerSocket(0)) {
            return probe.getLocalPort();
        }
    }

    private static boolean isListening(int port) {
        try (Socket probe = new Socket("127.0.0.1", port)) {
            return true;
        } catch (IOException notYet) {
            return false;
        }
    }

    private static ISOMsg answer(ISOMsg request) throws ISOException {
        ISOMsg reply = (ISOMsg) request.clone(ECHOED);
        reply.setMTI("0210");
        reply.set(39, "00");
        byte[] tpdu = request.getHeader();
        reply.setHeader(new byte[] {tpdu[0], tpdu[3], tpdu[4], tpdu[1], tpdu[2]});
        return reply;
    }

    /** The packed dialect of the bench (codec_bench.PACKED), as far as its message goes. */
    private static final class Packed extends ISOBasePackager {
        Packed() {
            ISOFieldPackager[] fields = new ISOFieldPackager[65];
            fields[0] = new IFB_NUMERIC(4, "MTI", true);
            fields[1] = new IFB_BITMAP(8, "bitmap");
            fields[2] = new IFB_LLNUM(19, "PAN", false);
            int[][] numbers = {
                {3, 6}, {4, 12}, {7, 10}, {11, 6}, {12, 6}, {13, 4}, {14, 4}, {18, 4}, {22, 3},
                {23, 3}, {24, 3}, {25, 2},
            };
            for (int[] one : numbers) {
                fields[one[0]] = new IFB_NUMERIC(one[1], "digits", true);
            }
            fields[32] = new IFB_LLNUM(11, "acquirer", true);
            fields[35] = new IFB_LLNUM(37, "track 2", false);
            int[][] texts = {{37, 12}, {38, 6}, {39, 2}, {41, 8}, {42, 15}, {43, 40}, {49, 3}};
            for (int[] one : texts) {
                fields[one[0]] = new IF_CHAR(one[1], "text");
            }
            fields[52] = new IFB_BINARY(8, "PIN block");
            fields[55] = new ISOBinaryFieldPackager(
                999, "chip", LiteralBinaryInterpreter.INSTANCE, BcdPrefixer.LLL);
            fields[60] = new IFB_LLLCHAR(999, "batch");
            fields[62] = new IFB_LLLCHAR(999, "invoice");
            fields[64] = new IFB_BINARY(8, "MAC");
            setFieldPackager(fields);
        }
    }
}
