import com.linkedin.coral.hive.hive2rel.parsetree.parser.ParseDriver;
import java.nio.charset.StandardCharsets;

/** Reads statements separated by NUL and prints, for each, "ok" or what Hive's grammar has against it. */
public class Grammar {
    public static void main(String[] arguments) throws Exception {
        String text = new String(System.in.readAllBytes(), StandardCharsets.UTF_8);
        for (String statement : text.split("\0")) {
            try {
                new ParseDriver().parse(statement);
                System.out.println("ok");
            } catch (Exception refused) {
                System.out.println(String.valueOf(refused.getMessage()).replace('\n', ' '));
            }
        }
    }
}
