// Resolves HOCON documents with the reference implementation: a document a line, in hexadecimal digits, to its value as JSON or `error`.

import com.typesafe.config.*;
import java.io.*;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;

public class Reference {
    public static void main(String[] arguments) throws Exception {
        BufferedReader documents = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream values = new PrintStream(new BufferedOutputStream(System.out), false, "UTF-8");
        for (String line; (line = documents.readLine()) != null;) {
            String text = new String(HexFormat.of().parseHex(line), StandardCharsets.UTF_8);
            try {
                Config config = ConfigFactory.parseString(text).resolve();
                values.println(config.root().render(ConfigRenderOptions.concise()));
            } catch (ConfigException | StackOverflowError error) {
                values.println("error");
            }
        }
        values.flush();
    }
}
